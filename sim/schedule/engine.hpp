// Runs the lists of passes of a schedule: one discrete-event engine for all of them.
//
// A rank does its passes in their order, one at a time. A pass waits for what it needs: F of a part of the model for
// the activation of the part before, B for the gradient of the part after (of the last part: for its own F), W for its
// own B. What comes from another rank comes by a send, which takes send_s on the sender's stream towards that
// neighbour; sends in one direction queue up. Before the first forward of a chunk there may be an all-gather of its
// weights, after its last backward a reduction of its gradients, at the end the optimizer's step.
//
// Since the order on every rank is given, no queue of events by time is needed: each rank runs until it waits for
// something that is not done yet, and is woken by whoever does it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/schedule/events.hpp"
#include "sim/schedule/timeline.hpp"

namespace dsllm::sim {

// What a rank does beside its passes, in seconds. All zero: nothing.
struct RankSync {
  double gather_s = 0;     // all-gather of one chunk's weights, before its first forward (ZeRO)
  double reduce_s = 0;     // reduction of one chunk's gradients, after its last backward
  double optimizer_s = 0;  // after the rank's reductions
};

struct RunOptions {
  std::span<const RankSync> sync = {};  // [stages], or empty: none
  // Gathers and reductions go in so many equal pieces, as buckets of layers do: a piece is reduced as soon as its share
  // of the last backward is done, and the first forward starts with the first piece. 1: nothing overlaps with that pass.
  int64_t buckets = 1;
  // The optimizer waits for all ranks, since the gradient is clipped by its global norm.
  bool global_norm = false;
};

// Throws ConfigError: sync [stages] or empty, its times finite and not negative; buckets 1 to 1024.
void validate(const RunOptions& options, const Pipeline& pipeline);

struct RankRun {
  double busy_s = 0;         // in passes
  double idle_s = 0;         // makespan less that
  double first_start_s = 0;  // of its passes
  double last_end_s = 0;     // of its passes
  double end_s = 0;          // with reductions and the optimizer
  double peak_bytes =
      0;  // of activations; counted in micro-batches of a chunk where Pipeline::bytes is empty
};

struct PipelineRun {
  double makespan_s = 0;  // from 0 to the end of all
  double passes_s = 0;    // the same without reductions and optimizer
  double span_s =
      0;  // the longest of the ranks' last_end - first_start: what an iteration costs if ranks need not
          // start together (Qi et al.)
  // Three rates circulate. With equal stages and t = m(F + B + W):
  double bubble_of_total = 0;  // (passes - t) / passes, t the mean of busy_s: (p-1)/(m+p-1) for 1F1B
  double bubble_of_ideal = 0;  // (passes - t) / t: (p-1)/m for 1F1B (Narayanan et al., 2.2)
  double bubble_of_span =
      0;               // (span - t) / span, t the busy_s of the rank with that span (Qi et al., section 5)
  int64_t passes = 0;  // events: passes
  int64_t sends = 0;   // and sends to other ranks
  std::vector<RankRun> ranks;

  int64_t events() const { return passes + sends; }
};

// Holds its buffers, so that the next run of a similar size allocates nothing. Not for use by two threads at once.
class Engine {
 public:
  Engine();
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // Builds the lists of pipeline.kind and runs them. Throws ConfigError as validate(). The result lives until the next run.
  const PipelineRun& run(const Pipeline& pipeline, const RunOptions& options = {},
                         Timeline* timeline = nullptr);

  // Runs given lists. Throws ValueError when they cannot be run: which rank waits for which pass; a pass that stands
  // twice or is missing; activations that are never freed.
  const PipelineRun& run(const Pipeline& pipeline, const Schedule& schedule, const RunOptions& options = {},
                         Timeline* timeline = nullptr);

  const Schedule& schedule() const { return schedule_; }  // of the last run that built its own

 private:
  struct Buffers;
  const PipelineRun& run_lists(const Pipeline& pipeline, const Schedule& schedule, const RunOptions& options,
                               Timeline* timeline);

  std::unique_ptr<Buffers> buffers_;
  Schedule schedule_;
  PipelineRun result_;
};

// The same with an engine of its own.
PipelineRun run_pipeline(const Pipeline& pipeline, const RunOptions& options = {},
                         Timeline* timeline = nullptr);

}  // namespace dsllm::sim
