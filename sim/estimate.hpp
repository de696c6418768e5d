// What a layout costs, by formulas alone, in a few microseconds. commands/step_run.hpp runs the same step event by event.
#pragma once

#include "sim/memory.hpp"
#include "sim/step_time.hpp"

namespace dsllm::sim {

struct StepTime {
  double passes_s = 0;     // of the slowest stage: all its forward and backward passes
  double bubble_s = 0;     // and what it waits
  double gradients_s = 0;  // reduction, where nothing hides it
  double weights_s = 0;    // all-gather of new weights, where nothing hides it
  double optimizer_s = 0;
  double other_s = 0;  // of the program, once a step

  double total() const { return passes_s + bubble_s + gradients_s + weights_s + optimizer_s + other_s; }
};

struct Estimate {
  StepTime time;
  double step_s = 0;
  double worst_rank_bytes = 0;  // with CUDA's context
  int64_t worst_stage = 0;
  bool fits = true;
};

// Works on one scenario after the other with the same buffers. Not for use by two threads at once.
class Estimator {
 public:
  explicit Estimator(const Machine& machine, const Constants& constants = sim::constants());

  // The scenario must be `checked` and be for this machine.
  Estimate operator()(const Scenario& scenario);
  StepTime step_time(const Scenario& scenario);  // without memory

 private:
  Rates rates_;
  Pipeline pipeline_;
};

Estimate estimate(const Scenario& scenario, const Machine& machine,
                  const Constants& constants = sim::constants());

// What follows from a step's time. Model FLOPs are those of model_cost.hpp with the convention.
double tokens_per_s(const Scenario& scenario, double step_s);
double model_flops_utilization(const Scenario& scenario, const Machine& machine, double step_s, bool causal);
double hardware_flops_utilization(const Scenario& scenario, const Machine& machine, double step_s,
                                  bool causal);

}  // namespace dsllm::sim
