#include "ref/model/cross_entropy.hpp"

#include "tests/judge/bounds.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

template <class T>
void forward(Call& c) {
  ref::cross_entropy_forward<T>(c.in<T, 2>("logits"), c.in<int32_t, 1>("targets"),
                                c.out<ref::Sum<T>, 1>("losses"));
}

template <class T>
void forward_backward(Call& c) {
  ref::cross_entropy_forward_backward<T>(c.out<T, 2>("logits"), c.in<int32_t, 1>("targets"),
                                         c.number("scale"), c.out<ref::Sum<T>, 1>("losses"));
}

// spread: of the logits. From about 90 on, exp overflows a float unless the maximum is subtracted first.
const std::vector<Numbers> cases = {{{"n", 1}, {"vocab", 1}, {"spread", 1}, {"scale", 1}},
                                    {{"n", 5}, {"vocab", 65}, {"spread", 3}, {"scale", 0.2}},
                                    {{"n", 7}, {"vocab", 31}, {"spread", 300}, {"scale", 1}},
                                    {{"n", 3}, {"vocab", 4099}, {"spread", 1}, {"scale", 0.125}},
                                    {{"n", 33}, {"vocab", 128}, {"spread", 5}, {"scale", 0.03}},
                                    {{"n", 0}, {"vocab", 9}, {"spread", 1}, {"scale", 1}}};

std::vector<Argument> arguments(const Numbers& s, Draw& draw, Role logits) {
  const int64_t n = s.size("n"), vocab = s.size("vocab");
  // About one target in five is ignored; never the first.
  std::vector<double> targets = draw.index(n, 0, vocab - 1);
  for (size_t t = 1; t < targets.size(); ++t)
    if (draw.integer(0, 4) == 0) targets[t] = ref::ignored_target;
  return {{"logits", logits, {n, vocab}, draw.real(n * vocab, s.at("spread")), Kind::stored},
          {"targets", Role::input, {n}, targets, Kind::index},
          {"losses", Role::output, {n}, {}, Kind::wide}};
}

struct Row {
  double max, lse;
  double spread;     // sum_j p_j |z_j - max|: how the roundings of z_j - max move the sum, relatively
  double row_units;  // the relative error of the sum of exponentials, in units of eps
};

Row row_of(View<const double, 1> z) {
  Row r{};
  r.max = *std::max_element(z.data, z.data + z.size());
  double sum = 0, moment = 0;
  for (int64_t j = 0; j < z.size(); ++j) {
    sum += std::exp(z(j) - r.max);
    moment += std::exp(z(j) - r.max) * (r.max - z(j));
  }
  r.lse = r.max + std::log(sum);
  r.spread = moment / sum;
  r.row_units = sum_of(z.size()) + function_call + operations(1) * r.spread;
  return r;
}

// loss = max + log(sum) - z_t: the error of the sum moves its logarithm by as much, and each of the numbers that are
// added or subtracted is rounded.
double loss_bound(const Row& r, double z, double eps) {
  return eps * (r.row_units + function_call * (r.lse - r.max) +
                operations(2) * (std::abs(r.max) + std::abs(r.lse) + std::abs(z)));
}

std::vector<double> loss_bounds(Call& before, double eps) {
  const auto logits = before.in<double, 2>("logits");
  const auto targets = before.in<int32_t, 1>("targets");
  return each(targets.size(), [&](int64_t t) {
    if (targets(t) == ref::ignored_target) return 0.0;
    return loss_bound(row_of(logits.row(t)), logits(t, targets(t)), eps);
  });
}

}  // namespace

std::vector<Pair> cross_entropy_pairs() {
  Pair f("cross_entropy_forward", "2.4");
  f.cases = cases;
  f.arguments = [](const Numbers& s, Draw& draw) { return arguments(s, draw, Role::input); };
  f.truth = forward<double>;
  f.candidates = {{"ref float", DType::f32, DType::f32, forward<float>},
                  {"ref bf16 logits", DType::f32, DType::bf16, forward<bf16>}};
  f.bounds = [](Call& before, Call&, double eps) -> Bounds { return {{"losses", loss_bounds(before, eps)}}; };
  f.flops = [](const Numbers& s) { return 4 * s.at("n") * s.at("vocab"); };
  f.bench = {{"n", 4}, {"vocab", 102400}, {"spread", 3}, {"scale", 1}};
  f.bench_on_device = {{"n", 512}, {"vocab", 102400}, {"spread", 3}, {"scale", 1}};

  Pair b("cross_entropy_forward_backward", "2.4");
  b.cases = cases;
  b.arguments = [](const Numbers& s, Draw& draw) { return arguments(s, draw, Role::update); };
  b.truth = forward_backward<double>;
  b.candidates = {{"ref float", DType::f32, DType::f32, forward_backward<float>},
                  {"ref bf16 logits", DType::f32, DType::bf16, forward_backward<bf16>}};
  // scale (p_j - [j = t]), p = exp(z - lse) or exp(z - max) / sum: relative to p the errors of the sum, of the argument
  // of exp (which is rounded, as max and lse are) and of three operations; then a subtraction and a product.
  b.bounds = [](Call& before, Call&, double eps) -> Bounds {
    const auto logits = before.in<double, 2>("logits");
    const auto targets = before.in<int32_t, 1>("targets");
    const int64_t n = logits.extent[0], vocab = logits.extent[1];
    std::vector<double> dlogits;
    for (int64_t t = 0; t < n; ++t) {
      const Row r = row_of(logits.row(t));
      for (int64_t j = 0; j < vocab; ++j) {
        const double p = std::exp(logits(t, j) - r.lse);
        const double argument = std::abs(logits(t, j) - r.max) + std::abs(r.lse) + std::abs(r.max);
        const double units = r.row_units + function_call * (1 + r.lse - r.max) + operations(1) * argument;
        const double sum = p + (j == targets(t) ? 1 : 0);
        dlogits.push_back(targets(t) == ref::ignored_target
                              ? 0
                              : eps * std::abs(before.number("scale")) * (p * units + operations(5) * sum));
      }
    }
    return {{"losses", loss_bounds(before, eps)}, {"logits", dlogits}};
  };
  b.flops = [](const Numbers& s) { return 7 * s.at("n") * s.at("vocab"); };
  b.bench = {{"n", 4}, {"vocab", 102400}, {"spread", 3}, {"scale", 1}};
  b.bench_on_device = {{"n", 512}, {"vocab", 102400}, {"spread", 3}, {"scale", 1}};
  return {f, b};
}

}  // namespace dsllm::tests
