// What a search asks of the simulator: the fast estimate of every layout, and the event engine's word on the best.
#pragma once

#include <string>

#include "sim/search/sweep.hpp"

namespace dsllm::sim {

CostFunction estimated_cost(const Machine& machine);  // estimate()
CostFunction engine_cost(const Machine& machine);     // report()

// Model FLOPs (causal attention, with the head, nothing twice) of a step in step_s, of the cluster's peak.
double mfu(const Scenario& scenario, const Machine& machine, double step_s);

// "stage 0 needs 91.3 GB of 80.0 GB: 62.1 GB of activations, 8 micro-batches in flight"; of the stage that needs most.
std::string why_too_large(const Scenario& scenario, const Machine& machine);

}  // namespace dsllm::sim
