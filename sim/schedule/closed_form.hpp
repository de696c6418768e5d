// The published formulas of every schedule, with their words; and a fast estimate for stages that are not equal.
#pragma once

#include <cstdint>
#include <string>

#include "sim/pipeline.hpp"

namespace dsllm::sim {

// What the papers' formulas say of p equal stages and m micro-batches, sends for nothing. F, B (of the input) and W are a
// whole stage's: all its chunks together; DualPipe: of one of its two parts, of which every micro-batch passes one.
struct ClosedForm {
  double bubble_s = 0;         // idle time of a rank in an iteration
  double iteration_s = 0;      // m (F + B + W) + bubble
  double bubble_of_total = 0;  // bubble / iteration (Qi et al.)
  double bubble_of_ideal = 0;  // bubble / (m (F + B + W)) (Narayanan et al.)
  double peak_in_flight =
      0;                // micro-batches whose activations of a whole stage are held, of the rank with most
  std::string formula;  // "bubble = (p-1)(F+B+W)"
  std::string with_numbers;  // "bubble = (8-1)(1+1+1) = 21 s"
  std::string rate;          // "bubble = (8-1)/(24+8-1) = 22.6% of the iteration"
  std::string peak;          // "peak in flight = min(p, m) = min(8, 24) = 8 micro-batches"
  std::string source;        // who published it, and what it takes for granted
};

// F, B and W are those of the slowest stage. The zero-bubble formulas as published hold for a W that fits (W <= min(F, B)
// will do); beyond that the general ones stand here, which the text shows. ZB-H2's iteration is the span
// of a rank: its ranks do not start together (optimizer post-validation). DualPipe's holds for its two middle ranks, which
// overlap most pairs; published for F = B >= W, general here. Throws ConfigError as validate() of events.hpp.
ClosedForm closed_form(const Pipeline& pipeline);

// How many micro-batches' activations of one chunk rank `stage` (from 0) holds at its peak, and how many weight contexts
// beside them. No run of the schedule, equal stages or not, holds more of the first.
struct PeakInFlight {
  int64_t activations = 0;
  int64_t weight_contexts = 0;
};
PeakInFlight peak_in_flight(ScheduleKind kind, int64_t stages, int64_t micro_batches, int64_t chunks,
                            int64_t stage) noexcept;

// The engine's figures without the engine, for the search: the longest of a few chains of passes that must follow each other
// (see estimate.cpp). No allocation, O(stages * chunks). Equal to the engine for equal stages whose W is at most F and B (DualPipe
// with sends: within 2%). With stages within 20% of each other and sends up to F/10 (tests/sim/schedule_estimate.cpp), its
// error is, worst and mean of 1000 pipelines of up to 10 stages, and with m >= 4p:
//   GPipe 0;  1F1B 0.9%, 0.02%;  interleaved 7.1%, 0.6%, m >= 4p 2.8%, 0.2%;  ZB-H1 2.5%, 0.05%;
//   ZB-H2 8.9%, 0.2%, m >= 4p 1.1%, 0.02%;  DualPipe 6.4%, 1.3%.
struct PipelineEstimate {
  double makespan_s = 0;
  double span_s = 0;           // as PipelineRun::span_s
  double bubble_of_total = 0;  // as PipelineRun's
};
PipelineEstimate estimate_pipeline(const Pipeline& pipeline) noexcept;  // pipeline must be valid

}  // namespace dsllm::sim
