// The learning rate over a run (paper, section 2.3): linear warm-up, then either
//
//   multi-step: the maximum until 80% of the tokens, 31.6% of it until 90%, 10% of it to the end. 31.6% is sqrt(0.1), as
//     printed in the paper: two equal drops make 10%. Until the first drop nothing depends on the length of the run, so
//     a checkpoint taken before it can be continued to any budget (figure 1b's argument for this schedule);
//   cosine: half a wave from the maximum down to 10% of it (Loshchilov and Hutter 2017). Every step but those of the
//     warm-up depends on the length of the run.
//
// Exactly: steps count from 1, S is the number of steps of the run, W of the warm-up. All in double.
//
//     warm-up     step s <= W            max_lr * s / W: the first step has max_lr / W, step W is the first at max_lr
//     multi-step  step s > round(f S)    max_lr * factor, of the last stage {f, factor} for which this holds: f = 0.8,
//                                        S = 1000 leaves step 800 at max_lr and makes step 801 the first of stage 2
//     cosine      step s > W             max_lr * (r + (1 - r) (1 + cos(pi (s - W) / (S - W))) / 2): step S has r max_lr
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dsllm::ref {

// From this fraction of the run on, the rate is factor times the maximum.
struct LrStage {
  double fraction = 0, factor = 1;
  bool operator==(const LrStage&) const = default;
};

// {0.8, sqrt(0.1)}, {0.9, 0.1}
std::vector<LrStage> paper_stages();

struct LrSchedule {
  enum class Shape { multi_step, cosine };
  Shape shape = Shape::multi_step;
  double max_lr = 3e-4;
  int64_t warmup_steps = 2000;
  std::vector<LrStage> stages = paper_stages();  // multi-step; none: constant after the warm-up
  double min_ratio = 0.1;                        // cosine: r

  // Throws ConfigError, naming the field, its value and the rule, unless total_steps >= 1; max_lr is finite and >= 0; the
  // fractions rise strictly inside (0, 1) and fall on different steps; factors are finite and >= 0; min_ratio is in
  // [0, 1]; and the warm-up ends before the first drop (multi-step) or before the last step (cosine).
  void validate(int64_t total_steps) const;
};

// "multi-step", "cosine". Throws ConfigError for another name.
LrSchedule::Shape lr_shape(const std::string& name);

// The last step of a stage that begins at `fraction` of total_steps: round(fraction * total_steps).
int64_t steps_before(double fraction, int64_t total_steps);

// The rate of step 1 .. total_steps. Throws ValueError for another step. The schedule must be valid.
double learning_rate(const LrSchedule& schedule, int64_t step, int64_t total_steps);

// How many steps of a run do not depend on its length: up to the first drop (all of them if there is none), or the
// warm-up. A checkpoint up to this step may be continued to this total.
int64_t steps_independent_of_budget(const LrSchedule& schedule, int64_t total_steps);

}  // namespace dsllm::ref
