#include "sim/search/pareto.hpp"

#include <algorithm>

namespace dsllm::sim {

std::vector<Candidate> pareto_front(std::vector<Candidate> candidates) {
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.cost.step_s != b.cost.step_s) return a.cost.step_s < b.cost.step_s;
    return a.cost.bytes != b.cost.bytes ? a.cost.bytes < b.cost.bytes : a.index < b.index;
  });
  std::vector<Candidate> front;
  for (const Candidate& c : candidates)
    if (front.empty() || c.cost.bytes < front.back().cost.bytes) front.push_back(c);
  return front;
}

}  // namespace dsllm::sim
