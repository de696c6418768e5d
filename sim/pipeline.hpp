// A pipeline on paper: how long the passes of every chunk take, and what they hold. schedule/events.hpp turns it into lists
// of passes, schedule/engine.hpp runs them; schedule/closed_form.hpp has the published formulas.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/scenario.hpp"

namespace dsllm::sim {

// One chunk of layers: stage s of pp holds chunks 0 .. v-1; chunk c of stage s is the (c * pp + s)-th part of the model
// (DualPipe: stage s holds part s for one direction and part pp-1-s for the other).
struct ChunkTimes {
  double forward_s = 0;          // F
  double backward_input_s = 0;   // B, the gradient of the input (with recomputation, if any)
  double backward_weight_s = 0;  // W, the gradient of the weights
  double full_backward_s() const { return backward_input_s + backward_weight_s; }
};

struct ChunkBytes {
  double activation = 0;      // held from the forward pass to the end of the input's backward
  double weight_context = 0;  // of these, held until the weights' backward is done (Qi et al.'s M_W)
};

struct Pipeline {
  ScheduleKind kind = ScheduleKind::one_f_one_b;
  int64_t stages = 1;             // p
  int64_t micro_batches = 1;      // m, of one replica
  int64_t chunks = 1;             // v; DualPipe: 2 by itself
  std::vector<ChunkTimes> times;  // [stages * chunks], stage-major: times[s * chunks + c]
  // Same order. Empty: an activation counts 1 and a weight context nothing, so that peaks are micro-batches.
  std::vector<ChunkBytes> bytes;
  double send_s = 0;             // of an activation or its gradient to the next stage
  bool send_blocks = false;      // the sender waits
  double overlapped_pair_s = 0;  // DualPipe: F&B of one forward and one full backward together; 0: their sum
};

}  // namespace dsllm::sim
