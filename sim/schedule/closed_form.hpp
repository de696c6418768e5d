// The published formulas of every schedule, with their words; and a fast estimate for stages that are not equal.
#pragma once

#include <cstdint>
#include <string>

#include "sim/pipeline.hpp"

namespace dsllm::sim {

// What the papers' formulas say of p equal stages and m micro-batches, sends for nothing. F, B, W are a whole stage's: all
// its chunks together (DualPipe: one of its two parts, which each micro-batch passes once).
struct ClosedForm {
  double bubble_s = 0;         // idle time of a rank in an iteration
  double iteration_s = 0;      // m (F + B + W) + bubble
  double bubble_of_total = 0;  // bubble / iteration (Qi et al.)
  double bubble_of_ideal = 0;  // bubble / (m (F + B + W)) (Narayanan et al.)
  double peak_in_flight =
      0;                // micro-batches whose activations of a whole stage are held, of the rank with most
  std::string formula;  // "bubble = (p-1)(F+B+W)"
  std::string with_numbers;  // "bubble = (8-1)(1+1+1) = 21"; seconds
  std::string rate;          // "bubble = (8-1)/(24+8-1) = 22.6% of the iteration"
  std::string peak;          // "peak in flight = min(p,m) = 8 micro-batches"
  std::string source;        // who published it
};

// F, B and W are the slowest stage's. Throws ConfigError as validate(). ZB-H2's iteration is the span of a rank: its ranks do
// not start together (optimizer post-validation).
ClosedForm closed_form(const Pipeline& pipeline);

// Micro-batches of one chunk whose activations rank `stage` (from 0) holds at its peak, and weight contexts beside them.
// Exact for equal stages and sends for nothing; ranks of a schedule that is run can hold no more of the first.
struct InFlight {
  int64_t activations = 0;
  int64_t weight_contexts = 0;
};
InFlight peak_in_flight(ScheduleKind kind, int64_t stages, int64_t micro_batches, int64_t chunks,
                        int64_t stage) noexcept;

// The engine's figures without the engine: no allocation, O(stages * chunks). For the search. Exact for equal stages;
// tests/sim/schedule_estimate.cpp measures its error on random ones.
struct PipelineEstimate {
  double makespan_s = 0;
  double span_s = 0;           // as PipelineRun::span_s
  double bubble_of_total = 0;  // as PipelineRun's
};
PipelineEstimate estimate_pipeline(const Pipeline& pipeline) noexcept;  // pipeline must be valid

}  // namespace dsllm::sim
