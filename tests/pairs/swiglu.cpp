#include "ref/model/swiglu.hpp"

#include "cuda/model/swiglu.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/on_device.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

template <class T>
void forward(Call& c) {
  ref::swiglu_forward<T>(c.in<T, 2>("gate"), c.in<T, 2>("up"), c.out<T, 2>("y"));
}

template <class T>
void backward(Call& c) {
  ref::swiglu_backward<T>(c.in<T, 2>("dy"), c.in<T, 2>("gate"), c.in<T, 2>("up"), c.out<T, 2>("dgate"),
                          c.out<T, 2>("dup"));
}

// The steps differ in their name only.
template <class F>
auto forward_kernel(F kernel) {
  return [kernel]<class T>(OnDevice& d) {
    kernel(d.in<T, 2>("gate"), d.in<T, 2>("up"), d.out<T, 2>("y"), d.stream());
  };
}
template <class F>
auto backward_kernel(F kernel) {
  return [kernel]<class T>(OnDevice& d) {
    kernel(d.in<T, 2>("dy"), d.in<T, 2>("gate"), d.in<T, 2>("up"), d.out<T, 2>("dgate"), d.out<T, 2>("dup"),
           d.stream());
  };
}

// scale: of the gate. At 60 exp(-gate) overflows a float, which has to end in silu = 0.
const std::vector<Numbers> cases = {
    {{"n", 1}, {"d_ff", 1}, {"scale", 1}},   {{"n", 3}, {"d_ff", 257}, {"scale", 3}},
    {{"n", 17}, {"d_ff", 15}, {"scale", 1}}, {{"n", 5}, {"d_ff", 33}, {"scale", 60}},
    {{"n", 0}, {"d_ff", 4}, {"scale", 1}},   {{"n", 2}, {"d_ff", 4099}, {"scale", 2}},
    {{"n", 3}, {"d_ff", 64}, {"scale", 1}},  {{"n", 1}, {"d_ff", 1031}, {"scale", 60}}};

constexpr double saturation = 0x1p-127;

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

std::vector<Pair> swiglu_pairs() {
  Pair f("swiglu_forward", "2.2");
  f.cases = cases;
  f.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), d = s.size("d_ff");
    return {{"gate", Role::input, {n, d}, draw.real(n * d, s.at("scale"))},
            {"up", Role::input, {n, d}, draw.real(n * d)},
            {"y", Role::output, {n, d}}};
  };
  f.truth = forward<double>;
  f.candidates = {{"ref float", DType::f32, DType::f32, forward<float>}};
  add_cuda<float, bf16>(f, "1 scalar",
                        forward_kernel([](auto&&... a) { cuda::swiglu_forward_scalar(a...); }));
  add_cuda<float, bf16>(f, "2 vectors",
                        forward_kernel([](auto&&... a) { cuda::swiglu_forward_vectors(a...); }));
  add_cuda<float, bf16>(f, "best step", forward_kernel([](auto&&... a) { cuda::swiglu_forward(a...); }));
  // exp, addition, division, products: all relative. Vectorized exp saturates at the largest float (2^128), so sigmoid
  // stops at 2^-128 on its way to 0.
  f.bounds = [](Call& before, Call& truth, double eps) -> Bounds {
    const auto y = truth.in<double, 2>("y"), gate = before.in<double, 2>("gate"),
               up = before.in<double, 2>("up");
    return {{"y", each(y.size(), [&](int64_t i) {
               return eps * (function_call + operations(4)) * std::abs(y.data[i]) +
                      saturation * std::abs(gate.data[i] * up.data[i]);
             })}};
  };
  f.in_place = {{"y", "gate"}, {"y", "up"}};
  f.flops = [](const Numbers& s) { return 5 * s.at("n") * s.at("d_ff"); };
  f.bench = {{"n", 32}, {"d_ff", 11008}, {"scale", 1}};
  f.bench_on_device = {{"n", 4096}, {"d_ff", 11008}, {"scale", 1}};

  Pair b("swiglu_backward", "2.2");
  b.cases = cases;
  b.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), d = s.size("d_ff");
    return {{"dy", Role::input, {n, d}, draw.real(n * d)},
            {"gate", Role::input, {n, d}, draw.real(n * d, s.at("scale"))},
            {"up", Role::input, {n, d}, draw.real(n * d)},
            {"dgate", Role::output, {n, d}},
            {"dup", Role::output, {n, d}}};
  };
  b.truth = backward<double>;
  b.candidates = {{"ref float", DType::f32, DType::f32, backward<float>}};
  add_cuda<float, bf16>(b, "1 scalar",
                        backward_kernel([](auto&&... a) { cuda::swiglu_backward_scalar(a...); }));
  add_cuda<float, bf16>(b, "2 vectors",
                        backward_kernel([](auto&&... a) { cuda::swiglu_backward_vectors(a...); }));
  add_cuda<float, bf16>(b, "best step", backward_kernel([](auto&&... a) { cuda::swiglu_backward(a...); }));
  // dgate = dy up s (1 + g (1 - s)), s = sigmoid(g). The inner sum cancels near g = -1.28, and 1 - s has the error of
  // s itself, eps s: the gauge is |dy up| s (1 + |g| (1 - s) + |g| s) = |dy up| s (1 + |g|). Seven operations in a row.
  b.bounds = [](Call& before, Call& truth, double eps) -> Bounds {
    const auto dy = before.in<double, 2>("dy"), gate = before.in<double, 2>("gate"),
               up = before.in<double, 2>("up"), dup = truth.in<double, 2>("dup");
    return {{"dgate", each(dy.size(),
                           [&](int64_t i) {
                             const double g = gate.data[i];
                             return (eps * (function_call + operations(7)) * sigmoid(g) + saturation) *
                                    std::abs(dy.data[i] * up.data[i]) * (1 + std::abs(g));
                           })},
            {"dup", each(dup.size(), [&](int64_t i) {
               return eps * (function_call + operations(4)) * std::abs(dup.data[i]) +
                      saturation * std::abs(dy.data[i] * gate.data[i]);
             })}};
  };
  b.in_place = {{"dgate", "gate"}, {"dgate", "dy"}, {"dup", "up"}, {"dup", "dy"}};
  b.flops = [](const Numbers& s) { return 11 * s.at("n") * s.at("d_ff"); };
  b.bench = {{"n", 32}, {"d_ff", 11008}, {"scale", 1}};
  b.bench_on_device = {{"n", 4096}, {"d_ff", 11008}, {"scale", 1}};
  return {f, b};
}

}  // namespace dsllm::tests
