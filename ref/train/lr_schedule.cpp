#include "ref/train/lr_schedule.hpp"

#include <fmt/format.h>

#include <cmath>

#include "ref/core/error.hpp"
#include "ref/core/portable_math.hpp"

namespace dsllm {
namespace ref {

LrSchedule::Shape lr_shape(const std::string& name) {
  if (name == "multi-step") return LrSchedule::Shape::multi_step;
  if (name == "cosine") return LrSchedule::Shape::cosine;
  throw ConfigError("schedule", "multi-step or cosine", fmt::format("'{}'", name));
}

double learning_rate(const LrSchedule& schedule, int64_t step, int64_t total_steps) {
  if (step < 1 || step > total_steps)
    throw ValueError("learning_rate", fmt::format("a step from 1 to {}", total_steps),
                     fmt::format("{}", step));
  if (step <= schedule.warmup_steps)
    return schedule.max_lr * static_cast<double>(step) / static_cast<double>(schedule.warmup_steps);
  if (schedule.shape == LrSchedule::Shape::cosine) {
    const double progress = static_cast<double>(step - schedule.warmup_steps) /
                            static_cast<double>(total_steps - schedule.warmup_steps);
    const double wave = (1 + cos_pi(progress)) / 2;
    return schedule.max_lr * (schedule.min_ratio + (1 - schedule.min_ratio) * wave);
  }
  double factor = 1;
  for (const LrStage& stage : schedule.stages)
    if (step > steps_before(stage.fraction, total_steps)) factor = stage.factor;
  return schedule.max_lr * factor;
}

int64_t steps_independent_of_budget(const LrSchedule& schedule, int64_t total_steps) {
  if (schedule.shape == LrSchedule::Shape::cosine) return schedule.warmup_steps;
  return schedule.stages.empty() ? total_steps : steps_before(schedule.stages.front().fraction, total_steps);
}

}  // namespace ref
}  // namespace dsllm
