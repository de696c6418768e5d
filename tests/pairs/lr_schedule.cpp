#include "ref/train/lr_schedule.hpp"

#include "cuda/train/lr_schedule.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/on_device.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {

namespace {

template <class C>
ref::LrSchedule schedule_of(const C& c) {
  ref::LrSchedule s;
  s.shape = c.number("cosine") != 0 ? ref::LrSchedule::Shape::cosine : ref::LrSchedule::Shape::multi_step;
  s.max_lr = c.number("max_lr");
  s.warmup_steps = c.size("warmup");
  return s;
}

template <class T>
void rates(Call& c) {
  const ref::LrSchedule schedule = schedule_of(c);
  const auto steps = c.in<int32_t, 1>("steps");
  const auto out = c.out<T, 1>("rates");
  for (int64_t i = 0; i < steps.size(); ++i)
    out(i) = static_cast<T>(ref::learning_rate(schedule, steps(i), c.size("total")));
}

}  // namespace

std::vector<Pair> lr_schedule_pairs() {
  Pair p("learning_rate", "2.3");
  for (const double cosine : {0.0, 1.0}) {
    p.cases.push_back({{"total", 10}, {"warmup", 0}, {"max_lr", 1e-3}, {"cosine", cosine}});
    p.cases.push_back({{"total", 101}, {"warmup", 7}, {"max_lr", 4.2e-4}, {"cosine", cosine}});
    p.cases.push_back({{"total", 2000}, {"warmup", 200}, {"max_lr", 3.2e-4}, {"cosine", cosine}});
  }
  // Every step, in an order of no meaning.
  p.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("total");
    std::vector<double> steps = each(n, [](int64_t i) { return static_cast<double>(i + 1); });
    for (int64_t i = n - 1; i > 0; --i)
      std::swap(steps[static_cast<size_t>(i)], steps[static_cast<size_t>(draw.integer(0, i))]);
    return {{"steps", Role::input, {n}, steps, Kind::index}, {"rates", Role::output, {n}, {}, Kind::wide}};
  };
  p.truth = rates<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, rates<float>}};
  add_cuda<float>(p, "one thread a step", []<class T>(OnDevice& d) {
    cuda::learning_rate<T>(schedule_of(d), d.size("total"), d.in<int32_t, 1>("steps"), d.out<T, 1>("rates"),
                           d.stream());
  });
  // Computed in double and rounded once, so that every implementation gives the same float, bit for bit.
  p.bounds = [](Call&, Call& truth, double) -> Bounds {
    return {{"rates", each(truth.array("rates").size(), [](int64_t) { return 0.0; })}};
  };
  p.flops = [](const Numbers& s) { return s.at("total"); };
  p.bench = {{"total", 100000}, {"warmup", 2000}, {"max_lr", 0.0003}, {"cosine", 1}};
  p.bench_on_device = {{"total", 10000000}, {"warmup", 2000}, {"max_lr", 0.0003}, {"cosine", 1}};
  return {p};
}

}  // namespace dsllm::tests
