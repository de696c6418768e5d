#include "ref/model/rmsnorm.hpp"

#include "cuda/model/rmsnorm.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/on_device.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

template <class T, class W>
void forward(Call& c) {
  ref::rmsnorm_forward<T, W>(c.in<T, 2>("x"), c.in<W, 1>("weight"), c.number("eps"), c.out<T, 2>("y"),
                             c.out<T, 1>("inv_rms"));
}

// The reference has no fused form: it adds, then normalizes.
template <class T, class W>
void residual_forward(Call& c) {
  const auto x = c.in<T, 2>("x"), residual = c.in<T, 2>("residual");
  const auto h = c.out<T, 2>("h");
  for (int64_t i = 0; i < h.size(); ++i) h.data[i] = x.data[i] + residual.data[i];
  ref::rmsnorm_forward<T, W>(h, c.in<W, 1>("weight"), c.number("eps"), c.out<T, 2>("y"),
                             c.out<T, 1>("inv_rms"));
}

template <class T>
void backward(Call& c) {
  ref::rmsnorm_backward<T>(c.in<T, 2>("dy"), c.in<T, 2>("x"), c.in<T, 1>("weight"), c.in<T, 1>("inv_rms"),
                           c.out<T, 2>("dx"), c.out<T, 1>("dweight"));
}

// The forward steps differ in their name only.
template <class F>
auto forward_kernel(F kernel) {
  return [kernel]<class T>(OnDevice& d) {
    kernel(d.in<T, 2>("x"), d.in<T, 1>("weight"), d.number("eps"), d.out<T, 2>("y"),
           d.out<float, 1>("inv_rms"), d.stream());
  };
}
template <class F>
auto backward_kernel(F kernel) {
  return [kernel]<class T>(OnDevice& d) {
    const int64_t n = d.size("n"), width = d.size("d");
    kernel(d.in<T, 2>("dy"), d.in<T, 2>("x"), d.in<T, 1>("weight"), d.in<float, 1>("inv_rms"),
           d.out<T, 2>("dx"), d.out<float, 1>("dweight"),
           d.scratch<float>(cuda::rmsnorm_backward_parts(n), width), d.stream());
  };
}
// Which rows the steps in registers take, in float as in bf16.
bool fits_registers(const Numbers& s) {
  return s.size("d") % 8 == 0 && s.size("d") <= 8192;
}

// eps = 0.1 is far more than a model uses: large enough to be seen beside mean(x^2) = 1. Rows of whole 16 bytes at the ends of
// the ranges of d that one shape of block serves, and past the last; more rows than the backward pass has parts.
const std::vector<Numbers> cases = {
    {{"n", 1}, {"d", 1}, {"eps", 1e-6}},    {{"n", 3}, {"d", 64}, {"eps", 1e-6}},
    {{"n", 7}, {"d", 31}, {"eps", 0.1}},    {{"n", 2}, {"d", 257}, {"eps", 1e-5}},
    {{"n", 65}, {"d", 5}, {"eps", 1e-6}},   {{"n", 1}, {"d", 4096}, {"eps", 1e-6}},
    {{"n", 0}, {"d", 8}, {"eps", 1e-6}},    {{"n", 129}, {"d", 16}, {"eps", 0.1}},
    {{"n", 300}, {"d", 3}, {"eps", 1e-6}},  {{"n", 270}, {"d", 8}, {"eps", 1e-6}},
    {{"n", 3}, {"d", 1032}, {"eps", 1e-6}}, {{"n", 5}, {"d", 1024}, {"eps", 0.1}},
    {{"n", 2}, {"d", 2040}, {"eps", 1e-5}}, {{"n", 2}, {"d", 8192}, {"eps", 1e-6}},
    {{"n", 2}, {"d", 16392}, {"eps", 1e-6}}};

}  // namespace

std::vector<Pair> rmsnorm_pairs() {
  Pair f("rmsnorm_forward", "2.2");
  f.cases = cases;
  f.styles = {Style::normal, Style::wide};
  f.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), d = s.size("d");
    return {{"x", Role::input, {n, d}, draw.real(n * d)},
            {"weight", Role::input, {d}, draw.real(d), Kind::stored},
            {"y", Role::output, {n, d}},
            {"inv_rms", Role::output, {n}, {}, Kind::wide}};
  };
  f.truth = forward<double, double>;
  f.candidates = {{"ref float", DType::f32, DType::f32, forward<float, float>},
                  {"ref float, bf16 weight", DType::f32, DType::bf16, forward<float, bf16>}};
  add_cuda<float, bf16>(f, "1 thread a row",
                        forward_kernel([](auto&&... a) { cuda::rmsnorm_forward_thread_per_row(a...); }));
  add_cuda<float, bf16>(f, "2 block a row",
                        forward_kernel([](auto&&... a) { cuda::rmsnorm_forward_block_per_row(a...); }));
  add_cuda<float, bf16>(f, "3 registers",
                        forward_kernel([](auto&&... a) { cuda::rmsnorm_forward_registers(a...); }),
                        {.supports = fits_registers});
  add_cuda<float, bf16>(f, "best step", forward_kernel([](auto&&... a) { cuda::rmsnorm_forward(a...); }));
  // All terms of the mean are positive, so errors are relative. The root halves the error of the sum, of the division
  // by d, of eps as a float and of its addition; root and division follow; for y two products.
  f.bounds = [](Call&, Call& truth, double eps) -> Bounds {
    const auto y = truth.in<double, 2>("y");
    const auto inv_rms = truth.in<double, 1>("inv_rms");
    const double units = sum_of(y.extent[1]) / 2 + operations(1.5) + operations(2);
    return {{"inv_rms", each(inv_rms.size(), [&](int64_t i) { return eps * units * inv_rms(i); })},
            {"y",
             each(y.size(), [&](int64_t i) { return eps * (units + operations(2)) * std::abs(y.data[i]); })}};
  };
  f.in_place = {{"y", "x"}};
  f.flops = [](const Numbers& s) { return 4 * s.at("n") * s.at("d"); };
  f.bench = {{"n", 64}, {"d", 4096}, {"eps", 1e-06}};
  f.bench_on_device = {{"n", 8192}, {"d", 4096}, {"eps", 1e-06}};

  // h = x + residual, y = rmsnorm(h). h is normalized as the arithmetic has it, before it is rounded for storage.
  Pair r("rmsnorm_residual_forward", "2.2");
  r.cases = cases;
  r.styles = f.styles;
  r.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), d = s.size("d");
    return {{"x", Role::input, {n, d}, draw.real(n * d)},
            {"residual", Role::input, {n, d}, draw.real(n * d)},
            {"weight", Role::input, {d}, draw.real(d), Kind::stored},
            {"h", Role::output, {n, d}},
            {"y", Role::output, {n, d}},
            {"inv_rms", Role::output, {n}, {}, Kind::wide}};
  };
  r.truth = residual_forward<double, double>;
  r.candidates = {{"ref float", DType::f32, DType::f32, residual_forward<float, float>},
                  {"ref float, bf16 weight", DType::f32, DType::bf16, residual_forward<float, bf16>}};
  add_cuda<float, bf16>(r, "4 with the sum", []<class T>(OnDevice& d) {
    cuda::rmsnorm_residual_forward<T>(d.in<T, 2>("x"), d.in<T, 2>("residual"), d.in<T, 1>("weight"),
                                      d.number("eps"), d.out<T, 2>("h"), d.out<T, 2>("y"),
                                      d.out<float, 1>("inv_rms"), d.stream());
  });
  // One operation for h; it enters each term of the mean twice, of which the root takes one half, and y once more.
  r.bounds = [forward_bounds = f.bounds](Call& before, Call& truth, double eps) -> Bounds {
    Bounds bounds = forward_bounds(before, truth, eps);
    const auto h = truth.in<double, 2>("h"), y = truth.in<double, 2>("y");
    const auto inv_rms = truth.in<double, 1>("inv_rms");
    for (size_t i = 0; i < bounds["inv_rms"].size(); ++i)
      bounds["inv_rms"][i] += eps * operations(1) * inv_rms.data[i];
    for (size_t i = 0; i < bounds["y"].size(); ++i)
      bounds["y"][i] += eps * operations(2) * std::abs(y.data[i]);
    bounds["h"] = each(h.size(), [&](int64_t i) { return eps * operations(1) * std::abs(h.data[i]); });
    return bounds;
  };
  r.in_place = {{"h", "x"}, {"h", "residual"}, {"y", "x"}, {"y", "residual"}};
  r.flops = [](const Numbers& s) { return 5 * s.at("n") * s.at("d"); };
  r.bench = {{"n", 64}, {"d", 4096}, {"eps", 1e-06}};
  r.bench_on_device = {{"n", 8192}, {"d", 4096}, {"eps", 1e-06}};

  Pair b("rmsnorm_backward", "2.2");
  b.cases = cases;
  b.styles = {Style::normal, Style::wide};
  b.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), d = s.size("d");
    const std::vector<double> x = draw.real(n * d);
    const std::vector<double> inv_rms = each(n, [&](int64_t t) {
      double sum = 0;
      for (int64_t j = t * d; j < (t + 1) * d; ++j)
        sum += x[static_cast<size_t>(j)] * x[static_cast<size_t>(j)];
      return 1 / std::sqrt(sum / static_cast<double>(d) + s.at("eps"));
    });
    return {{"dy", Role::input, {n, d}, draw.real(n * d)},
            {"x", Role::input, {n, d}, x},
            {"weight", Role::input, {d}, draw.real(d)},
            {"inv_rms", Role::input, {n}, inv_rms, Kind::wide},
            {"dx", Role::output, {n, d}},
            {"dweight", Role::update, {d}, draw.real(d), Kind::wide}};
  };
  b.truth = backward<double>;
  b.candidates = {{"ref float", DType::f32, DType::f32, backward<float>}};
  add_cuda<float, bf16>(b, "5 two stages",
                        backward_kernel([](auto&&... a) { cuda::rmsnorm_backward_two_stages(a...); }));
  add_cuda<float, bf16>(b, "6 registers",
                        backward_kernel([](auto&&... a) { cuda::rmsnorm_backward_registers(a...); }),
                        {.supports = fits_registers});
  add_cuda<float, bf16>(b, "best step", backward_kernel([](auto&&... a) { cuda::rmsnorm_backward(a...); }));
  // dx_i = inv (dy_i w_i - x_i inv^2 / d sum_j dy_j w_j x_j): the gauge has the absolute value of each term. Beside the
  // sum (of products of three, one rounding more) there are at most seven operations in a row.
  b.bounds = [](Call& before, Call&, double eps) -> Bounds {
    const auto dy = before.in<double, 2>("dy"), x = before.in<double, 2>("x");
    const auto w = before.in<double, 1>("weight"), inv = before.in<double, 1>("inv_rms"),
               dweight = before.in<double, 1>("dweight");
    const int64_t n = x.extent[0], d = x.extent[1];
    std::vector<double> dx_bound;
    for (int64_t t = 0; t < n; ++t) {
      double sum = 0;
      for (int64_t j = 0; j < d; ++j) sum += std::abs(dy(t, j) * w(j) * x(t, j));
      for (int64_t i = 0; i < d; ++i)
        dx_bound.push_back(
            eps * (sum_of(d) + operations(8)) * inv(t) *
            (std::abs(dy(t, i) * w(i)) + std::abs(x(t, i)) * inv(t) * inv(t) / static_cast<double>(d) * sum));
    }
    return {{"dx", dx_bound}, {"dweight", each(d, [&](int64_t i) {
                                 double gauge = std::abs(dweight(i));
                                 for (int64_t t = 0; t < n; ++t)
                                   gauge += std::abs(dy(t, i) * x(t, i) * inv(t));
                                 return eps * (sum_of(n + 1) + operations(1)) * gauge;
                               })}};
  };
  b.in_place = {{"dx", "dy"}};
  b.flops = [](const Numbers& s) { return 11 * s.at("n") * s.at("d"); };
  b.bench = {{"n", 64}, {"d", 4096}, {"eps", 1e-06}};
  b.bench_on_device = {{"n", 8192}, {"d", 4096}, {"eps", 1e-06}};
  return {f, r, b};
}

}  // namespace dsllm::tests
