#include "ref/core/settings.hpp"

#include <fmt/format.h>

#include <cmath>

#include "ref/core/error.hpp"

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
    const int64_t begin = steps_before(stage.fraction, total_steps);
    require(begin > steps && begin < total_steps, "stages",
            fmt::format("at least one step in every stage of a run of {} steps", total_steps),
            stage.fraction);
    before = stage.fraction;
    steps = begin;
  }
  const int64_t first = stages.empty() ? total_steps : steps_before(stages.front().fraction, total_steps);
  require(warmup_steps <= first, "warmup_steps",
          fmt::format("at most the {} steps of the first stage (of {} in all)", first, total_steps), warmup);
}

void AdamwSettings::validate(const char* operation) const {
  const auto check = [&](bool holds, const char* rule, double got) {
    if (!holds) throw ValueError(operation, rule, fmt::format("{}", got));
  };
  check(weight_decay >= 0 && std::isfinite(weight_decay), "a finite weight decay >= 0", weight_decay);
  check(beta1 >= 0 && beta1 < 1, "beta1 in [0, 1)", beta1);
  check(beta2 >= 0 && beta2 < 1, "beta2 in [0, 1)", beta2);
  check(eps > 0 && std::isfinite(eps), "eps > 0", eps);
}

void DpoSettings::validate(int64_t pairs) const {
  const auto check = [](bool holds, const char* rule, double got) {
    if (!holds) throw ValueError("dpo_loss", rule, fmt::format("{}", got));
  };
  check(pairs >= 1, "at least one pair", static_cast<double>(pairs));
  check(beta > 0 && std::isfinite(beta), "beta > 0", beta);
  check(label_smoothing >= 0 && label_smoothing < 0.5, "label_smoothing in [0, 0.5)", label_smoothing);
  check(label_smoothing == 0 || loss == Loss::sigmoid, "no label_smoothing with the ipo and hinge losses",
        label_smoothing);
}

}  // namespace dsllm
