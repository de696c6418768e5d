// The time of one training step: passes of every stage through the pipeline, gradients, optimizer, weights.
#pragma once

#include "sim/layer_time.hpp"
#include "sim/pipeline.hpp"

namespace dsllm::sim {

// What the end of the step costs one stage, once its last backward pass is done.
struct TailTime {
  double gradients_exposed_s = 0;  // of the reduction, what the last backward pass did not hide
  double gradients_s = 0;          // the whole of it, hidden or not
  double optimizer_s = 0;
  double weights_s = 0;          // ZeRO 1 and 2: all-gather of the new weights
  double weights_exposed_s = 0;  // of it, what the next forward pass does not hide
};

// Fills `pipeline` (its vectors are used again): times of all chunks with collectives of tp, cp and ZeRO 3, and of a send.
void pipeline_of(const Rates& rates, const Scenario& scenario, Pipeline& pipeline);

TailTime tail_time(const Rates& rates, const Scenario& scenario, const LayerTime& layer, int64_t stage);

}  // namespace dsllm::sim
