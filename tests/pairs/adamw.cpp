#include "ref/train/adamw.hpp"

#include "cuda/train/adamw.hpp"
#include "ref/core/bf16.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/on_device.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

template <class T>
void step(Call& c) {
  ref::adamw_step<T>(AdamwSettings{}, c.number("lr"), c.size("step"), c.in<T, 1>("gradient"),
                     c.out<T, 1>("weight"), c.out<T, 1>("m"), c.out<T, 1>("v"), c.number("weight_decay"));
}

template <class T, class W>
void mixed_step(Call& c) {
  step<T>(c);
  const auto weight = c.in<T, 1>("weight");
  const auto copy = c.out<W, 1>("copy");
  for (int64_t i = 0; i < copy.size(); ++i) copy(i) = static_cast<W>(weight(i));
}

// run(coefficients, clip_scale, decays), with the coefficients of the case, made on the device.
template <class F>
void with_coefficients(OnDevice& d, const F& run) {
  const auto number = [&d]<class T>(T value) -> View<T, 1> {
    return d.keep([&] {
      cuda::DeviceTensor<T, 1> x("a number", 1);
      x.upload(View<const T, 1>(&value, {1}), d.stream());
      return x;
    });
  };
  AdamwSettings settings;
  settings.weight_decay = d.number("weight_decay");
  const View<cuda::AdamwCoefficients, 1> coefficients = number(cuda::AdamwCoefficients{});
  cuda::adamw_coefficients(settings, number(static_cast<int32_t>(d.size("step"))), number(d.number("lr")),
                           coefficients, d.stream());
  run(coefficients, number(1.0f), settings.weight_decay > 0);
}

}  // namespace

std::vector<Pair> adamw_pairs() {
  Pair p("adamw_step", "2.3");
  p.cases = {{{"n", 1}, {"step", 1}, {"lr", 0.1}, {"weight_decay", 0.1}},
             {{"n", 1003}, {"step", 1}, {"lr", 3e-4}, {"weight_decay", 0}},
             {{"n", 257}, {"step", 7}, {"lr", 0.01}, {"weight_decay", 0.1}},
             {{"n", 64}, {"step", 100000}, {"lr", 0.5}, {"weight_decay", 0.3}},
             {{"n", 0}, {"step", 1}, {"lr", 1}, {"weight_decay", 0.1}}};
  p.styles = {Style::normal, Style::wide};
  p.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n");
    std::vector<double> v = draw.real(n);
    for (double& x : v) x *= x;
    return {{"gradient", Role::input, {n}, draw.real(n), Kind::wide},
            {"weight", Role::update, {n}, draw.real(n), Kind::wide},
            {"m", Role::update, {n}, draw.real(n), Kind::wide},
            {"v", Role::update, {n}, v, Kind::wide}};
  };
  p.truth = step<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, step<float>}};
  add_cuda<float>(p, "fused", []<class T>(OnDevice& d) {
    with_coefficients(d, [&](auto coefficients, auto clip_scale, bool decays) {
      cuda::adamw_step(coefficients, clip_scale, decays, d.in<T, 1>("gradient"), d.out<T, 1>("weight"),
                       d.out<T, 1>("m"), d.out<T, 1>("v"), d.stream());
    });
  });
  // m is a sum of two products with rounded coefficients: four roundings, and they may cancel; v is the same with one
  // more and only positive terms. The step m^ / (sqrt(v^) + eps) adds seven to those of m and v, the weight two.
  p.bounds = [](Call& before, Call& truth, double eps) -> Bounds {
    const AdamwSettings s;
    const auto g = before.in<double, 1>("gradient"), w = before.in<double, 1>("weight"),
               m = before.in<double, 1>("m"), v = truth.in<double, 1>("v");
    const double t = before.number("step"), lr = before.number("lr");
    const auto m_gauge = [&](int64_t i) { return s.beta1 * std::abs(m(i)) + (1 - s.beta1) * std::abs(g(i)); };
    return {{"m", each(m.size(), [&](int64_t i) { return eps * operations(4) * m_gauge(i); })},
            {"v", each(v.size(), [&](int64_t i) { return eps * operations(5) * v(i); })},
            {"weight", each(w.size(), [&](int64_t i) {
               const double m_hat = m_gauge(i) / (1 - std::pow(s.beta1, t));
               const double v_hat = v(i) / (1 - std::pow(s.beta2, t));
               const double step = lr * m_hat / (std::sqrt(v_hat) + s.eps);
               const double decay = lr * before.number("weight_decay") * std::abs(w(i));
               return eps * (operations(16) * step + operations(5) * decay + operations(1) * std::abs(w(i)));
             })}};
  };
  p.flops = [](const Numbers& s) { return 14 * s.at("n"); };
  p.bench = {{"n", 262144}, {"step", 100}, {"lr", 0.0003}, {"weight_decay", 0.1}};
  p.bench_on_device = {{"n", 33554432}, {"step", 100}, {"lr", 0.0003}, {"weight_decay", 0.1}};

  // The same, and the copy of the weights that the next forward pass reads: in bf16, beside masters in float that keep
  // the updates too small for bf16. Its bound is that of the weight; the judge adds one rounding to bf16.
  Pair mixed = p;
  mixed.name = "adamw_mixed_step";
  mixed.arguments = [arguments = p.arguments](const Numbers& s, Draw& draw) {
    std::vector<Argument> a = arguments(s, draw);
    a.push_back({"copy", Role::output, {s.size("n")}, {}, Kind::stored});
    return a;
  };
  mixed.truth = mixed_step<double, double>;
  mixed.candidates = {{"ref float, bf16 copy", DType::f32, DType::bf16, mixed_step<float, bf16>}};
  add_cuda<float, bf16>(mixed, "fused", []<class T>(OnDevice& d) {
    with_coefficients(d, [&](auto coefficients, auto clip_scale, bool decays) {
      cuda::adamw_mixed_step<T>(coefficients, clip_scale, decays, d.in<float, 1>("gradient"),
                                d.out<float, 1>("weight"), d.out<float, 1>("m"), d.out<float, 1>("v"),
                                d.out<T, 1>("copy"), d.stream());
    });
  });
  // Arrays that begin anywhere: the same elements but the first are updated where they lie, and the first one alone.
  add_cuda<float, bf16>(mixed, "fused, from the second element on", []<class T>(OnDevice& d) {
    with_coefficients(d, [&](auto coefficients, auto clip_scale, bool decays) {
      const int64_t n = d.size("n"), first = n < 1 ? n : 1;
      for (const auto& [begin, count] : {std::pair{first, n - first}, std::pair{int64_t{0}, first}})
        cuda::adamw_mixed_step<T>(
            coefficients, clip_scale, decays, d.in<float, 1>("gradient").rows(begin, count),
            d.out<float, 1>("weight").rows(begin, count), d.out<float, 1>("m").rows(begin, count),
            d.out<float, 1>("v").rows(begin, count), d.out<T, 1>("copy").rows(begin, count), d.stream());
    });
  });
  mixed.bounds = [bounds = p.bounds](Call& before, Call& truth, double eps) {
    Bounds b = bounds(before, truth, eps);
    b["copy"] = b.at("weight");
    return b;
  };
  return {p, mixed};
}

}  // namespace dsllm::tests
