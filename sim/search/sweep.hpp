// How the best layout changes with the number of GPUs.
#pragma once

#include <optional>

#include "sim/search/search.hpp"

namespace dsllm::sim {

// strong: the same global batch on more GPUs. weak: the batch grows with the GPUs.
enum class Scaling { strong, weak };

struct SweepPoint {
  int64_t gpus = 1;
  int64_t global_batch = 1;       // sequences
  std::optional<Candidate> best;  // none: nothing fits, or nothing is possible
  double tokens_per_s = 0;
  double speedup = 0;     // tokens a second against the first point that has a layout
  double efficiency = 0;  // speedup / (gpus / that point's gpus)
};

// Searches at every number of GPUs. base.layout.global_batch belongs to gpus.front(); weak scaling multiplies it by
// gpus / gpus.front() and throws ConfigError where that is no whole number of sequences.
std::vector<SweepPoint> sweep(const Scenario& base, const LayoutChoices& choices, Scaling scaling,
                              const std::vector<int64_t>& gpus, const CostModel& model);

}  // namespace dsllm::sim
