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

#include "ref/core/settings.hpp"

namespace dsllm::ref {

using dsllm::LrSchedule;
using dsllm::LrStage;
using dsllm::paper_stages;
using dsllm::steps_before;

// "multi-step", "cosine". Throws ConfigError for another name.
LrSchedule::Shape lr_shape(const std::string& name);

// The rate of step 1 .. total_steps. Throws ValueError for another step. The schedule must be valid.
double learning_rate(const LrSchedule& schedule, int64_t step, int64_t total_steps);

// How many steps of a run do not depend on its length: up to the first drop (all of them if there is none), or the
// warm-up. A checkpoint up to this step may be continued to this total.
int64_t steps_independent_of_budget(const LrSchedule& schedule, int64_t total_steps);

}  // namespace dsllm::ref
