#include "sim/search/sweep.hpp"

#include <fmt/format.h>

#include "ref/core/error.hpp"

namespace dsllm::sim {

std::vector<SweepPoint> sweep(const Scenario& base, const LayoutChoices& choices, Scaling scaling,
                              const std::vector<int64_t>& gpus, const CostModel& model) {
  std::vector<SweepPoint> points;
  const SweepPoint* first = nullptr;
  points.reserve(gpus.size());  // `first` stays where it is
  for (const int64_t n : gpus) {
    Scenario scenario = base;
    scenario.cluster.gpus = n;
    if (scaling == Scaling::weak) {
      const int64_t sequences = base.layout.global_batch * n;
      if (sequences % gpus.front() != 0)
        throw ConfigError("gpus",
                          fmt::format("a number by which {} sequences on {} GPUs grow to whole sequences",
                                      base.layout.global_batch, gpus.front()),
                          fmt::to_string(n));
      scenario.layout.global_batch = sequences / gpus.front();
    }
    SweepPoint p;
    p.gpus = n;
    p.global_batch = scenario.layout.global_batch;
    const SearchResult result = search(LayoutSpace(scenario, choices), model, {.top = 1, .too_large = 0});
    if (!result.best.empty()) {
      p.best = result.best.front();
      p.tokens_per_s =
          static_cast<double>(p.global_batch) * static_cast<double>(base.model.seq_len) / p.best->cost.step_s;
    }
    points.push_back(p);
    if (!points.back().best) continue;
    if (first == nullptr) first = &points.back();
    points.back().speedup = points.back().tokens_per_s / first->tokens_per_s;
    points.back().efficiency =
        points.back().speedup * static_cast<double>(first->gpus) / static_cast<double>(n);
  }
  return points;
}

}  // namespace dsllm::sim
