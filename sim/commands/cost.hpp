// What a search asks of the simulator: the fast estimate of every layout, and the event engine's word on the best.
#pragma once

#include <string>

#include "sim/search/search.hpp"

namespace dsllm::sim {

CostFunction estimated_cost(const Scenario& base);
CostFunction engine_cost(const Scenario& base);

// "stage 0 needs 91.3 GB of 80.0 GB: 62.1 GB of activations, 8 micro-batches in flight"; of the stage that needs most.
std::string why_too_large(const Scenario& checked, const Machine& machine);

}  // namespace dsllm::sim
