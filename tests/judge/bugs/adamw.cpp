#include <algorithm>
#include <bit>
#include <cmath>

#include "ref/core/bf16.hpp"
#include "ref/core/settings.hpp"
#include "ref/train/adamw.hpp"
#include "ref/train/grad_clip.hpp"
#include "ref/train/lr_schedule.hpp"
#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

struct StepBug {
  bool no_bias_correction = false;
  bool counts_from_zero = false;  // beta^(t - 1)
  bool coupled_decay = false;     // Adam with L2: the decay passes through the moments
  bool decay_without_lr = false;
  bool eps_inside = false;  // sqrt(v + eps)
  bool betas_swapped = false;
  bool no_root = false;
  bool v_of_m = false;  // the second moment of the first
};

Run step(const StepBug& bug) {
  return [bug](Call& c) {
    const auto g = c.in<float, 1>("gradient");
    const auto w = c.out<float, 1>("weight"), m = c.out<float, 1>("m"), v = c.out<float, 1>("v");
    AdamwSettings s;
    if (bug.betas_swapped) std::swap(s.beta1, s.beta2);
    const double t = c.number("step") - (bug.counts_from_zero ? 1 : 0), lr = c.number("lr"),
                 decay = c.number("weight_decay");
    const double correct1 = bug.no_bias_correction ? 1 : 1 - std::pow(s.beta1, t),
                 correct2 = bug.no_bias_correction ? 1 : 1 - std::pow(s.beta2, t);
    for (int64_t i = 0; i < g.size(); ++i) {
      const double gradient = g(i) + (bug.coupled_decay ? decay * w(i) : 0);
      m(i) = static_cast<float>(s.beta1 * m(i) + (1 - s.beta1) * gradient);
      const double squared = bug.v_of_m ? m(i) : gradient;
      v(i) = static_cast<float>(s.beta2 * v(i) + (1 - s.beta2) * squared * squared);
      double root = std::sqrt(v(i) / correct2) + s.eps;
      if (bug.eps_inside) root = std::sqrt(v(i) / correct2 + s.eps);
      if (bug.no_root) root = v(i) / correct2 + s.eps;
      const double rate = bug.decay_without_lr ? decay : lr * decay;
      w(i) = static_cast<float>(w(i) - lr * (m(i) / correct1) / root - (bug.coupled_decay ? 0 : rate * w(i)));
    }
  };
}

struct CopyBug {
  bool truncates = false;       // to bf16
  bool of_the_old = false;      // written before the update
  bool counts_in_copy = false;  // the update goes to the copy; the master follows it
};

Run mixed(const CopyBug& bug) {
  return [bug, update = step({})](Call& c) {
    const auto w = c.out<float, 1>("weight");
    const auto copy = c.out<bf16, 1>("copy");
    const auto write = [&] {
      for (int64_t i = 0; i < w.size(); ++i)
        copy(i) = bug.truncates
                      ? std::bit_cast<bf16>(static_cast<uint16_t>(std::bit_cast<uint32_t>(w(i)) >> 16))
                      : bf16(w(i));
    };
    if (bug.of_the_old) write();
    update(c);
    if (!bug.of_the_old) write();
    if (bug.counts_in_copy)
      for (int64_t i = 0; i < w.size(); ++i) w(i) = copy(i);
  };
}

// Bugs that a bound of errors would not see, and a comparison bit for bit does.
struct StepsBug {
  bool joins_operations = false;  // a product and a sum with one rounding, as nvcc does unless told otherwise
  bool rate_in_float = false;
  bool never_clips = false;
  bool clips_after = false;   // the update, not the gradient
  bool gains_decay = false;   // the second tensor as well
  bool rate_of_next = false;  // off by one step
};

Run steps(const StepsBug& bug) {
  return [bug](Call& c) {
    const int64_t n = c.size("n"), total = c.size("steps");
    const auto w = c.out<float, 1>("weight"), m = c.out<float, 1>("m"), v = c.out<float, 1>("v");
    LrSchedule s;
    s.shape = c.number("cosine") != 0 ? LrSchedule::Shape::cosine : LrSchedule::Shape::multi_step;
    s.max_lr = c.number("max_lr");
    s.warmup_steps = c.size("warmup");
    for (int64_t t = 1; t <= total; ++t) {
      const auto g = c.in<float, 2>("gradients").row(t - 1);
      const double norm = ref::global_norm<float>(g);
      double lr = ref::learning_rate(s, bug.rate_of_next ? std::min(t + 1, total) : t, total);
      if (bug.rate_in_float) lr = static_cast<float>(lr);
      const float scale = norm > 1 && !bug.never_clips ? static_cast<float>(1 / norm) : 1;
      const ref::AdamwCoefficients<float> k({}, lr, t, 0.1);
      for (int64_t i = 0; i < n; ++i) {
        const float gi = bug.clips_after ? g(i) : scale * g(i);
        m(i) = bug.joins_operations ? std::fma(k.beta1, m(i), k.one_minus_beta1 * gi)
                                    : k.beta1 * m(i) + k.one_minus_beta1 * gi;
        v(i) = k.beta2 * v(i) + k.one_minus_beta2 * (gi * gi);
        const float decay = i < n / 3 || bug.gains_decay ? k.decay : 0;
        const float step = k.step_size * (m(i) / (std::sqrt(v(i)) * k.v_scale + k.eps));
        w(i) = w(i) - ((bug.clips_after ? scale * step : step) + decay * w(i));
      }
      c.out<float, 1>("norms")(t - 1) = static_cast<float>(norm);
    }
    for (int64_t i = 0; i < n; ++i) c.out<bf16, 1>("copy")(i) = bf16(w(i));
  };
}

}  // namespace

std::vector<Bug> adamw_bugs() {
  return {
      {"adamw_step", "", step({})},
      {"adamw_step", "no bias correction", step({.no_bias_correction = true})},
      {"adamw_step", "steps count from 0", step({.counts_from_zero = true})},
      {"adamw_step", "decay through the moments (L2)", step({.coupled_decay = true})},
      {"adamw_step", "decay without the learning rate", step({.decay_without_lr = true})},
      {"adamw_step", "eps inside of the root", step({.eps_inside = true})},
      {"adamw_step", "betas swapped", step({.betas_swapped = true})},
      {"adamw_step", "no root", step({.no_root = true})},
      {"adamw_step", "second moment of the first", step({.v_of_m = true})},
      {"adamw_mixed_step", "", mixed({}), DType::bf16},
      {"adamw_mixed_step", "the copy is truncated", mixed({.truncates = true}), DType::bf16},
      {"adamw_mixed_step", "a copy of the old weights", mixed({.of_the_old = true}), DType::bf16},
      {"optimizer_steps", "", steps({}), DType::bf16},
      {"optimizer_steps", "a product and a sum joined", steps({.joins_operations = true}), DType::bf16},
      {"optimizer_steps", "rate rounded to float first", steps({.rate_in_float = true}), DType::bf16},
      {"optimizer_steps", "never clips", steps({.never_clips = true}), DType::bf16},
      {"optimizer_steps", "clips the update", steps({.clips_after = true}), DType::bf16},
      {"optimizer_steps", "gains of norms decay", steps({.gains_decay = true}), DType::bf16},
      {"optimizer_steps", "schedule off by one step", steps({.rate_of_next = true}), DType::bf16},
      {"adamw_mixed_step", "no master: weights kept in bf16", mixed({.counts_in_copy = true}), DType::bf16},
  };
}

}  // namespace dsllm::tests
