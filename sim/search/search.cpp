#include "sim/search/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"

namespace dsllm::sim {

namespace {

// Layouts of one piece of work. Small enough for many threads, large enough that joining pieces costs nothing.
constexpr int64_t piece_size = 2048;

// The first `count` of what is added, in the order of ranks_before.
void add_ranked(std::vector<Candidate>& list, const Candidate& c, int64_t count) {
  if (static_cast<int64_t>(list.size()) == count) {
    if (count == 0 || !ranks_before(c, list.back())) return;
    list.pop_back();
  }
  list.insert(std::upper_bound(list.begin(), list.end(), c, ranks_before), c);
}

Cost checked_cost(const CostFunction& cost, const Scenario& scenario) {
  const Cost c = cost(scenario);
  if (!(c.step_s >= 0 && std::isfinite(c.step_s) && c.bytes >= 0 && std::isfinite(c.bytes)))
    throw ValueError(
        "search", "a time and a number of bytes for every layout",
        fmt::format("{} s, {} bytes for dp {}, tp {}, pp {}, micro_batch {}", c.step_s, c.bytes,
                    scenario.layout.dp, scenario.layout.tp, scenario.layout.pp, scenario.layout.micro_batch));
  return c;
}

// The numbers [begin, end), one after the other.
SearchResult search_piece(const LayoutSpace& space, const CostModel& model, const SearchOptions& options,
                          int64_t begin, int64_t end) {
  const CostFunction cost = model(space.base());
  SearchResult r;
  r.layouts = end - begin;
  std::vector<std::pair<const char*, BrokenRule>> broken;  // rules are constants: told apart by address
  Scenario scenario = space.base();
  for (int64_t i = begin; i < end; ++i) {
    scenario.layout = space.at(i);
    if (const char* rule = why_impossible(scenario)) {
      const auto known =
          std::find_if(broken.begin(), broken.end(), [&](const auto& b) { return b.first == rule; });
      if (known != broken.end())
        ++known->second.count;
      else
        broken.push_back({rule, {rule, 1, scenario.layout}});
      continue;
    }
    const Candidate c{i, scenario.layout, checked_cost(cost, scenario)};
    if (!c.cost.fits) {
      ++r.does_not_fit;
      r.too_large.push_back(c);
      continue;
    }
    ++r.fit;
    add_ranked(r.best, c, options.top);
    r.front.push_back(c);
  }
  r.front = pareto_front(std::move(r.front));
  r.too_large = pareto_front(std::move(r.too_large));
  for (const auto& [rule, count] : broken) add_broken_rules(r.broken, {count});
  return r;
}

}  // namespace

SearchResult search(const LayoutSpace& space, const CostModel& model, const SearchOptions& options) {
  std::vector<SearchResult> pieces(static_cast<size_t>((space.size() + piece_size - 1) / piece_size));
  std::mutex mutex;
  int64_t done = 0;
  parallel_pieces(space.size(), piece_size, [&](int64_t begin, int64_t end) {
    pieces[static_cast<size_t>(begin / piece_size)] = search_piece(space, model, options, begin, end);
    if (options.progress == nullptr) return;
    const std::lock_guard lock(mutex);
    options.progress->update(done += end - begin);
  });

  SearchResult all;
  for (SearchResult& p : pieces) {
    all.layouts += p.layouts;
    all.fit += p.fit;
    all.does_not_fit += p.does_not_fit;
    for (const Candidate& c : p.best) add_ranked(all.best, c, options.top);
    all.too_large.insert(all.too_large.end(), p.too_large.begin(), p.too_large.end());
    all.front.insert(all.front.end(), p.front.begin(), p.front.end());
    add_broken_rules(all.broken, p.broken);
  }
  all.front = pareto_front(std::move(all.front));
  all.too_large = pareto_front(std::move(all.too_large));
  if (!all.front.empty())
    std::erase_if(all.too_large,
                  [&](const Candidate& c) { return c.cost.step_s >= all.front[0].cost.step_s; });
  const auto kept = std::min(static_cast<int64_t>(all.too_large.size()), options.too_large);
  all.too_large.erase(all.too_large.begin(), all.too_large.end() - kept);
  return all;
}

void rerank(const LayoutSpace& space, const CostModel& better, std::vector<Candidate>& best,
            std::vector<Candidate>& too_large) {
  parallel_for(static_cast<int64_t>(best.size()), [&](int64_t i) {
    Candidate& c = best[static_cast<size_t>(i)];
    Scenario scenario = space.base();
    scenario.layout = c.layout;
    c.cost = checked_cost(better(space.base()), scenario);
  });
  const auto split =
      std::stable_partition(best.begin(), best.end(), [](const Candidate& c) { return c.cost.fits; });
  too_large.insert(too_large.end(), split, best.end());
  best.erase(split, best.end());
  std::sort(best.begin(), best.end(), ranks_before);
  std::sort(too_large.begin(), too_large.end(), ranks_before);
}

}  // namespace dsllm::sim
