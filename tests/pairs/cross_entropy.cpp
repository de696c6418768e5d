#include "ref/model/cross_entropy.hpp"

#include "cuda/model/cross_entropy.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/logits_row.hpp"
#include "tests/pairs/on_device.hpp"
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
                                    {{"n", 2}, {"vocab", 8209}, {"spread", 2}, {"scale", 0.5}},
                                    {{"n", 1}, {"vocab", 8192}, {"spread", 2}, {"scale", 1}},
                                    {{"n", 2}, {"vocab", 20011}, {"spread", 20}, {"scale", 0.5}},
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

std::vector<double> loss_bounds(Call& before, double eps) {
  const auto logits = before.in<double, 2>("logits");
  const auto targets = before.in<int32_t, 1>("targets");
  return each(targets.size(), [&](int64_t t) { return loss_bound_of(logits.row(t), targets(t), eps); });
}

}  // namespace

std::vector<Pair> cross_entropy_pairs() {
  Pair f("cross_entropy_forward", "2.4");
  f.cases = cases;
  f.arguments = [](const Numbers& s, Draw& draw) { return arguments(s, draw, Role::input); };
  f.truth = forward<double>;
  f.candidates = {{"ref float", DType::f32, DType::f32, forward<float>},
                  {"ref bf16 logits", DType::f32, DType::bf16, forward<bf16>}};
  add_cuda<float, bf16>(f, "three passes", []<class T>(OnDevice& d) {
    cuda::cross_entropy_forward_three_passes<T>(d.in<T, 2>("logits"), d.in<int32_t, 1>("targets"),
                                                d.out<float, 1>("losses"), d.stream());
  });
  add_cuda<float, bf16>(f, "online", []<class T>(OnDevice& d) {
    cuda::cross_entropy_forward_online<T>(d.in<T, 2>("logits"), d.in<int32_t, 1>("targets"),
                                          d.out<float, 1>("losses"), d.stream());
  });
  add_cuda<float, bf16>(f, "vectors", []<class T>(OnDevice& d) {
    cuda::cross_entropy_forward<T>(d.in<T, 2>("logits"), d.in<int32_t, 1>("targets"),
                                   d.out<float, 1>("losses"), d.stream());
  });
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
  add_cuda<float, bf16>(b, "three passes", []<class T>(OnDevice& d) {
    cuda::cross_entropy_forward_backward_three_passes<T>(d.out<T, 2>("logits"), d.in<int32_t, 1>("targets"),
                                                         d.number("scale"), d.out<float, 1>("losses"),
                                                         d.stream());
  });
  add_cuda<float, bf16>(b, "online", []<class T>(OnDevice& d) {
    cuda::cross_entropy_forward_backward_online<T>(d.out<T, 2>("logits"), d.in<int32_t, 1>("targets"),
                                                   d.number("scale"), d.out<float, 1>("losses"), d.stream());
  });
  add_cuda<float, bf16>(b, "vectors", []<class T>(OnDevice& d) {
    cuda::cross_entropy_forward_backward<T>(d.out<T, 2>("logits"), d.in<int32_t, 1>("targets"),
                                            d.number("scale"), d.out<float, 1>("losses"), d.stream());
  });
  b.bounds = [](Call& before, Call&, double eps) -> Bounds {
    const auto logits = before.in<double, 2>("logits");
    const auto targets = before.in<int32_t, 1>("targets");
    std::vector<double> dlogits;
    for (int64_t t = 0; t < targets.size(); ++t)
      append_gradient_bounds(logits.row(t), targets(t), before.number("scale"), eps, dlogits);
    return {{"losses", loss_bounds(before, eps)}, {"logits", dlogits}};
  };
  b.flops = [](const Numbers& s) { return 7 * s.at("n") * s.at("vocab"); };
  b.bench = {{"n", 4}, {"vocab", 102400}, {"spread", 3}, {"scale", 1}};
  b.bench_on_device = {{"n", 512}, {"vocab", 102400}, {"spread", 3}, {"scale", 1}};
  return {f, b};
}

}  // namespace dsllm::tests
