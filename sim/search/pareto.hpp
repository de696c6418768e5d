// The layouts that no other beats in both time and memory.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/scenario.hpp"

namespace dsllm::sim {

// What a layout costs: seconds of a step, bytes of the rank that needs most.
struct Cost {
  double step_s = 0;
  double bytes = 0;
  bool fits = true;
};

struct Candidate {
  int64_t index = 0;  // in the LayoutSpace
  Layout layout;
  Cost cost;
};

// Faster first; of two that are equally fast the one with the lower number. A total order, so that a ranking is the same
// however the search was cut into pieces.
inline bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.cost.step_s != b.cost.step_s ? a.cost.step_s < b.cost.step_s : a.index < b.index;
}

// The front, by rising time and strictly falling memory: of every candidate that is left out there is one on the front
// that is neither slower nor larger. Of equal ones the lowest number stays.
std::vector<Candidate> pareto_front(std::vector<Candidate> candidates);

}  // namespace dsllm::sim
