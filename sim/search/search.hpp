// The best layout: tries the whole space with a fast estimate, and the best of it once more with a slower and better one.
#pragma once

#include <functional>

#include "ref/core/progress.hpp"
#include "sim/search/layouts.hpp"
#include "sim/search/pareto.hpp"

namespace dsllm::sim {

// Time and memory of a possible scenario. Used by one thread at a time, so that it may have buffers.
using CostFunction = std::function<Cost(const Scenario& checked)>;
// Makes one for the layouts of a scenario. Called from many threads at once, for every piece of work.
using CostModel = std::function<CostFunction(const Scenario& base)>;

struct SearchOptions {
  int64_t top = 10;       // how many of those that fit are kept
  int64_t too_large = 3;  // and of those that do not
  Progress* progress = nullptr;
};

struct SearchResult {
  std::vector<Candidate> best;  // fit, ranked
  // Do not fit, are faster than all that do, and no other is both faster and smaller: what more memory would buy. Of these
  // the smallest, by rising time and falling memory. If nothing fits: the smallest of all.
  std::vector<Candidate> too_large;
  std::vector<Candidate> front;  // time against memory, of those that fit
  int64_t layouts = 0;           // numbers in the space = impossible + fit + too large
  int64_t fit = 0, does_not_fit = 0;
  std::vector<BrokenRule> broken;  // what made the impossible ones so
};

// Costs every possible layout of the space. The result depends on neither threads nor chance. Throws ValueError if a cost
// is not a number.
SearchResult search(const LayoutSpace& space, const CostModel& model, const SearchOptions& options = {});

// Costs these candidates again and ranks them anew; those that do not fit after all are moved to `too_large`, ranked.
void rerank(const LayoutSpace& space, const CostModel& better, std::vector<Candidate>& best,
            std::vector<Candidate>& too_large);

}  // namespace dsllm::sim
