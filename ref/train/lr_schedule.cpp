#include "ref/train/lr_schedule.hpp"

#include <fmt/format.h>

#include <cmath>

#include "ref/core/error.hpp"
#include "ref/core/portable_math.hpp"

namespace dsllm {
namespace {

void require(bool holds, const char* field, const std::string& rule, double got) {
  if (!holds) throw ConfigError(field, rule, fmt::format("{}", got));
}

}  // namespace

void LrSchedule::validate(int64_t total_steps) const {
  require(total_steps >= 1, "total_steps", "at least 1", static_cast<double>(total_steps));
  require(max_lr >= 0 && std::isfinite(max_lr), "lr", "a finite number >= 0", max_lr);
  require(warmup_steps >= 0, "warmup_steps", "a number >= 0", static_cast<double>(warmup_steps));
  const double warmup = static_cast<double>(warmup_steps);
  if (shape == Shape::cosine) {
    require(min_ratio >= 0 && min_ratio <= 1, "min_ratio", "a number from 0 to 1", min_ratio);
    require(warmup_steps < total_steps, "warmup_steps",
            fmt::format("fewer than the {} steps of the run", total_steps), warmup);
    return;
  }
  double before = 0;
  int64_t steps = 0;
  for (const LrStage& stage : stages) {
    require(stage.fraction > before && stage.fraction < 1, "stages",
            fmt::format("a fraction between {} and 1", before), stage.fraction);
    require(stage.factor >= 0 && std::isfinite(stage.factor), "stages", "a finite factor >= 0", stage.factor);
    const int64_t begin = ref::steps_before(stage.fraction, total_steps);
    require(begin > steps && begin < total_steps, "stages",
            fmt::format("at least one step in every stage of a run of {} steps", total_steps),
            stage.fraction);
    before = stage.fraction;
    steps = begin;
  }
  const int64_t first = ref::steps_independent_of_budget(*this, total_steps);
  require(warmup_steps <= first, "warmup_steps",
          fmt::format("at most the {} steps of the first stage (of {} in all)", first, total_steps), warmup);
}

namespace ref {

LrSchedule::Shape lr_shape(const std::string& name) {
  if (name == "multi-step") return LrSchedule::Shape::multi_step;
  if (name == "cosine") return LrSchedule::Shape::cosine;
  throw ConfigError("schedule", "multi-step or cosine", fmt::format("'{}'", name));
}

int64_t steps_before(double fraction, int64_t total_steps) {
  return std::llround(fraction * static_cast<double>(total_steps));
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
