#include "ref/train/lr_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

struct ScheduleBug {
  int64_t off_by = 0;            // every rate is that of another step
  bool drops_early = false;      // the first step of a stage is the last one of the stage before
  bool ends_at_zero = false;     // cosine without its floor
  bool in_float = false;         // all of it
  bool restarts_cosine = false;  // the wave begins at step 0, not after the warm-up
  bool exact_ratio = true;       // false: 0.3 in place of sqrt(0.1)
};

template <class F>
F rate(const ScheduleBug& bug, const Call& c, int64_t step, int64_t total) {
  const int64_t warmup = c.size("warmup");
  const F max_lr = static_cast<F>(c.number("max_lr"));
  if (step <= warmup) return max_lr * static_cast<F>(step) / static_cast<F>(warmup);
  if (c.number("cosine") != 0) {
    const int64_t begin = bug.restarts_cosine ? 0 : warmup;
    const F progress = static_cast<F>(step - begin) / static_cast<F>(total - begin);
    const F low = static_cast<F>(bug.ends_at_zero ? 0 : 0.1);
    const F wave = (1 + std::cos(std::numbers::pi_v<F> * progress)) / 2;
    return max_lr * (low + (1 - low) * wave);
  }
  const auto passed = [&](double fraction) {
    return step + (bug.drops_early ? 1 : 0) > ref::steps_before(fraction, total);
  };
  const F middle = bug.exact_ratio ? static_cast<F>(std::sqrt(0.1)) : static_cast<F>(0.3);
  return max_lr * (passed(0.9) ? static_cast<F>(0.1) : passed(0.8) ? middle : F(1));
}

Run rates(const ScheduleBug& bug) {
  return [bug](Call& c) {
    const auto steps = c.in<int32_t, 1>("steps");
    const auto out = c.out<float, 1>("rates");
    const int64_t total = c.size("total");
    for (int64_t i = 0; i < steps.size(); ++i) {
      const int64_t step = std::clamp<int64_t>(steps(i) + bug.off_by, 0, total);
      out(i) = bug.in_float ? rate<float>(bug, c, step, total)
                            : static_cast<float>(rate<double>(bug, c, step, total));
    }
  };
}

}  // namespace

std::vector<Bug> lr_schedule_bugs() {
  return {
      {"learning_rate", "", rates({})},
      {"learning_rate", "off by one step: steps count from 0", rates({.off_by = -1})},
      {"learning_rate", "off by one step: the next one's", rates({.off_by = 1})},
      {"learning_rate", "drops one step early", rates({.drops_early = true})},
      {"learning_rate", "cosine falls to zero", rates({.ends_at_zero = true})},
      {"learning_rate", "cosine begins before the warm-up", rates({.restarts_cosine = true})},
      {"learning_rate", "computed in float", rates({.in_float = true})},
      {"learning_rate", "0.3 for sqrt(0.1)", rates({.exact_ratio = false})},
  };
}

}  // namespace dsllm::tests
