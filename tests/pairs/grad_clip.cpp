#include "ref/train/grad_clip.hpp"

#include "tests/judge/bounds.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

template <class T>
void clip(Call& c) {
  c.out<T, 1>("norm")(0) = static_cast<T>(ref::grad_clip<T>(c.number("max_norm"), c.out<T, 1>("gradient")));
}

}  // namespace

std::vector<Pair> grad_clip_pairs() {
  Pair p("grad_clip", "2.3");
  // Below the norm (which is about sqrt(n)), and above it.
  p.cases = {{{"n", 1}, {"max_norm", 0.01}},    {{"n", 1003}, {"max_norm", 1}},
             {{"n", 70001}, {"max_norm", 0.5}}, {{"n", 17}, {"max_norm", 1e9}},
             {{"n", 17}, {"max_norm", 1e-3}},   {{"n", 0}, {"max_norm", 1}}};
  p.styles = {Style::normal, Style::wide};
  p.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n");
    return {{"gradient", Role::update, {n}, draw.real(n), Kind::wide},
            {"norm", Role::output, {1}, {}, Kind::wide}};
  };
  p.truth = clip<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, clip<float>}};
  // A norm may be summed in T, over terms that are all positive; the root halves its error. The factor is rounded after
  // a division, and so is the product.
  p.bounds = [](Call&, Call& truth, double eps) -> Bounds {
    const auto g = truth.in<double, 1>("gradient");
    const double norm_units = sum_of(g.size()) / 2 + operations(1);
    return {{"norm", {eps * norm_units * truth.in<double, 1>("norm")(0)}},
            {"gradient",
             each(g.size(), [&](int64_t i) { return eps * (norm_units + operations(3)) * std::abs(g(i)); })}};
  };
  p.flops = [](const Numbers& s) { return 3 * s.at("n"); };
  p.bench = {{"n", 1048576}, {"max_norm", 1}};
  p.bench_on_device = {{"n", 67108864}, {"max_norm", 1}};
  return {p};
}

}  // namespace dsllm::tests
