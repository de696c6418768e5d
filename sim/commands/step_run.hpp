// One training step, run event by event: the passes of every rank, their sends, the gathering of weights, the reduction of
// gradients and the optimizer.
#pragma once

#include <vector>

#include "sim/estimate.hpp"
#include "sim/schedule/engine.hpp"

namespace dsllm::sim {

struct StepRun {
  Pipeline pipeline;
  PipelineRun run;
  std::vector<TailTime> tails;     // [pp], what each stage does at the end of the step
  std::vector<RankMemory> memory;  // [pp], at the peak, by the schedule's closed form
  double step_s = 0;
  int64_t worst_stage = 0;  // that needs most memory
  bool fits = true;
};

// Forward passes of all stages and chunks: what a run costs in time and, with a timeline, in memory.
int64_t forward_passes(const Scenario& scenario);

// The scenario must be `checked` and be for this machine. With overlap_dp weights are gathered and gradients reduced
// layer by layer beside the passes; without, after the last one, as part of what the engine calls the optimizer.
// ZB-H2's ranks do not wait for each other (Qi et al., 4: optimizer post-validation), so a step takes the longest time
// of a rank; for the others, from the first pass to the end of the last optimizer.
StepRun run_step(const Scenario& scenario, const Machine& machine, Timeline* timeline = nullptr);

}  // namespace dsllm::sim
