#include "ref/model/linear.hpp"

#include "tests/judge/bounds.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

template <class T, class W>
void forward(Call& c) {
  ref::linear_forward<T, W>(c.in<T, 2>("x"), c.in<W, 2>("weight"), c.out<T, 2>("y"));
}

template <class T>
void backward_input(Call& c) {
  ref::linear_backward_input<T>(c.in<T, 2>("dy"), c.in<T, 2>("weight"), c.out<T, 2>("dx"));
}

template <class T>
void backward_input_accumulate(Call& c) {
  ref::linear_backward_input<T>(c.in<T, 2>("dy"), c.in<T, 2>("weight"), c.out<T, 2>("dx"),
                                ref::Write::accumulate);
}

template <class T>
void backward_weight(Call& c) {
  ref::linear_backward_weight<T>(c.in<T, 2>("dy"), c.in<T, 2>("x"), c.out<T, 2>("dweight"));
}

// One token, square, primes, around the blocks of 4, 8, 16, 64 and 128 that matrix products are cut into, and empty.
const std::vector<Numbers> cases = {
    {{"n", 1}, {"d_in", 1}, {"d_out", 1}},    {{"n", 1}, {"d_in", 257}, {"d_out", 65}},
    {{"n", 8}, {"d_in", 8}, {"d_out", 8}},    {{"n", 7}, {"d_in", 13}, {"d_out", 31}},
    {{"n", 17}, {"d_in", 63}, {"d_out", 15}}, {{"n", 65}, {"d_in", 129}, {"d_out", 33}},
    {{"n", 3}, {"d_in", 1024}, {"d_out", 5}}, {{"n", 129}, {"d_in", 16}, {"d_out", 127}},
    {{"n", 0}, {"d_in", 3}, {"d_out", 4}},    {{"n", 3}, {"d_in", 4}, {"d_out", 0}}};

// Of c = a b over `inner`, plus what was there: |c before| + sum |a| |b|, times the error of a sum of inner + 1 terms.
template <class A, class B>
std::vector<double> product_bound(double eps, int64_t rows, int64_t cols, int64_t inner, const A& a,
                                  const B& b, const double* initial) {
  return each(rows * cols, [&](int64_t at) {
    double gauge = initial ? std::abs(initial[at]) : 0;
    for (int64_t k = 0; k < inner; ++k) gauge += std::abs(a(at / cols, k) * b(k, at % cols));
    return eps * sum_of(inner + 1) * gauge;
  });
}

double product_flops(const Numbers& s) {
  return 2 * s.at("n") * s.at("d_in") * s.at("d_out");
}

}  // namespace

std::vector<Pair> linear_pairs() {
  Pair f("linear_forward", "2.2");
  f.cases = cases;
  f.styles = {Style::normal, Style::wide, Style::integers};
  f.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), d_in = s.size("d_in"), d_out = s.size("d_out");
    return {{"x", Role::input, {n, d_in}, draw.real(n * d_in)},
            {"weight", Role::input, {d_out, d_in}, draw.real(d_out * d_in), Kind::stored},
            {"y", Role::output, {n, d_out}}};
  };
  f.truth = forward<double, double>;
  f.candidates = {{"ref float", DType::f32, DType::f32, forward<float, float>},
                  {"ref float, bf16 weight", DType::f32, DType::bf16, forward<float, bf16>}};
  f.bounds = [](Call& before, Call&, double eps) -> Bounds {
    const auto x = before.in<double, 2>("x"), w = before.in<double, 2>("weight");
    const auto w_transposed = [&](int64_t k, int64_t o) { return w(o, k); };
    return {{"y", product_bound(eps, x.extent[0], w.extent[0], x.extent[1], x, w_transposed, nullptr)}};
  };
  f.flops = product_flops;
  f.bench = {{"n", 256}, {"d_in", 512}, {"d_out", 512}};
  f.bench_on_device = {{"n", 1024}, {"d_in", 1024}, {"d_out", 1024}};

  Pair bi("linear_backward_input", "2.2");
  bi.cases = cases;
  bi.styles = f.styles;
  bi.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), d_in = s.size("d_in"), d_out = s.size("d_out");
    return {{"dy", Role::input, {n, d_out}, draw.real(n * d_out)},
            {"weight", Role::input, {d_out, d_in}, draw.real(d_out * d_in)},
            {"dx", Role::output, {n, d_in}}};
  };
  bi.truth = backward_input<double>;
  bi.candidates = {{"ref float", DType::f32, DType::f32, backward_input<float>}};
  bi.bounds = [](Call& before, Call&, double eps) -> Bounds {
    const auto dy = before.in<double, 2>("dy"), w = before.in<double, 2>("weight");
    return {{"dx", product_bound(eps, dy.extent[0], w.extent[1], dy.extent[1], dy, w, nullptr)}};
  };
  bi.flops = product_flops;
  bi.bench = {{"n", 256}, {"d_in", 512}, {"d_out", 512}};
  bi.bench_on_device = {{"n", 1024}, {"d_in", 1024}, {"d_out", 1024}};

  Pair ba = bi;
  ba.name = "linear_backward_input_accumulate";
  ba.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), d_in = s.size("d_in"), d_out = s.size("d_out");
    return {{"dy", Role::input, {n, d_out}, draw.real(n * d_out)},
            {"weight", Role::input, {d_out, d_in}, draw.real(d_out * d_in)},
            {"dx", Role::update, {n, d_in}, draw.real(n * d_in)}};
  };
  ba.truth = backward_input_accumulate<double>;
  ba.candidates = {{"ref float", DType::f32, DType::f32, backward_input_accumulate<float>}};
  ba.bounds = [](Call& before, Call&, double eps) -> Bounds {
    const auto dy = before.in<double, 2>("dy"), w = before.in<double, 2>("weight");
    return {{"dx", product_bound(eps, dy.extent[0], w.extent[1], dy.extent[1], dy, w,
                                 before.in<double, 2>("dx").data)}};
  };

  Pair bw("linear_backward_weight", "2.2");
  bw.cases = cases;
  bw.styles = f.styles;
  bw.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), d_in = s.size("d_in"), d_out = s.size("d_out");
    return {{"dy", Role::input, {n, d_out}, draw.real(n * d_out)},
            {"x", Role::input, {n, d_in}, draw.real(n * d_in)},
            {"dweight", Role::update, {d_out, d_in}, draw.real(d_out * d_in), Kind::wide}};
  };
  bw.truth = backward_weight<double>;
  bw.candidates = {{"ref float", DType::f32, DType::f32, backward_weight<float>}};
  bw.bounds = [](Call& before, Call&, double eps) -> Bounds {
    const auto dy = before.in<double, 2>("dy"), x = before.in<double, 2>("x");
    const auto dy_transposed = [&](int64_t o, int64_t k) { return dy(k, o); };
    return {{"dweight", product_bound(eps, dy.extent[1], x.extent[1], dy.extent[0], dy_transposed, x,
                                      before.in<double, 2>("dweight").data)}};
  };
  bw.flops = product_flops;
  bw.bench = {{"n", 256}, {"d_in", 512}, {"d_out", 512}};
  bw.bench_on_device = {{"n", 1024}, {"d_in", 1024}, {"d_out", 1024}};
  return {f, bi, ba, bw};
}

}  // namespace dsllm::tests
