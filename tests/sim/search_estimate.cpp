// The search with the real estimate: what a new estimator says of every layout, one after the other.
#include <doctest/doctest.h>

#include "ref/core/parallel.hpp"
#include "sim/commands/cost.hpp"
#include "sim/estimate.hpp"
#include "sim/search/search.hpp"
#include "sim/search/sweep.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

Scenario base_7b(int64_t gpus, int64_t global_batch) {
  Scenario s;
  s.model = find_model("deepseek-llm-7b");
  s.cluster.gpus = gpus;
  s.layout.global_batch = global_batch;
  return s;
}

}  // namespace

TEST_CASE("search: the best layout of the 7B model on two nodes is the best of all, judged one by one") {
  const LayoutSpace space(base_7b(16, 64), {});
  const Machine machine = machine_of(space.base().cluster, space.base().recipe);
  const SearchResult r = search(space, estimated_cost, {.top = 5});
  REQUIRE(r.best.size() == 5);
  int64_t fit = 0, faster = 0;
  for (int64_t i = 0; i < space.size(); ++i) {
    Scenario s = space.base();
    s.layout = space.at(i);
    if (why_impossible(s) != nullptr) continue;
    const Estimate e = estimate(s, machine);  // without buffers of layouts before
    if (!e.fits) continue;
    ++fit;
    if (e.step_s < r.best[4].cost.step_s) ++faster;
    if (i == r.best[0].index) CHECK(e.step_s == r.best[0].cost.step_s);
    CHECK(e.step_s >= r.best[0].cost.step_s);
  }
  CHECK(fit == r.fit);
  CHECK(faster <= 4);
}

TEST_CASE("search: with the estimate too, the same answer for any number of threads") {
  const LayoutSpace space(base_7b(64, 256), {});
  const int before = threads();
  set_threads(1);
  const SearchResult one = search(space, estimated_cost, {.top = 30});
  for (const int n : {2, 5}) {
    set_threads(n);
    const SearchResult many = search(space, estimated_cost, {.top = 30});
    REQUIRE(one.best.size() == many.best.size());
    for (size_t i = 0; i < one.best.size(); ++i) {
      CHECK(one.best[i].index == many.best[i].index);
      CHECK(one.best[i].cost.step_s == many.best[i].cost.step_s);
    }
    REQUIRE(one.front.size() == many.front.size());
    for (size_t i = 0; i < one.front.size(); ++i) CHECK(one.front[i].index == many.front[i].index);
  }
  set_threads(before);
}

TEST_CASE("search: more memory never makes the best layout slower, and a fixed field never makes it faster") {
  Scenario small = base_7b(32, 128), large = small;
  small.cluster.hbm_bytes = 24e9;
  large.cluster.hbm_bytes = 80e9;
  const SearchResult in_small = search(LayoutSpace(small, {}), estimated_cost);
  const SearchResult in_large = search(LayoutSpace(large, {}), estimated_cost);
  REQUIRE(!in_small.best.empty());
  REQUIRE(!in_large.best.empty());
  CHECK(in_large.best[0].cost.step_s <= in_small.best[0].cost.step_s);
  CHECK(in_small.fit < in_large.fit);
  for (const int64_t tp : {1, 2, 4, 8}) {
    const SearchResult fixed = search(LayoutSpace(large, {.tp = tp}), estimated_cost);
    if (!fixed.best.empty()) CHECK(fixed.best[0].cost.step_s >= in_large.best[0].cost.step_s);
  }
}

TEST_CASE("search: what does not fit says what it lacks") {
  Scenario s = base_7b(8, 64);
  s.cluster.hbm_bytes = 40e9;
  const SearchResult r = search(LayoutSpace(s, {.tp = 1, .pp = 1, .zero = 0}), estimated_cost);
  CHECK(r.best.empty());
  REQUIRE(!r.too_large.empty());
  s.layout = r.too_large[0].layout;
  const std::string why = why_too_large(s, machine_of(s.cluster, s.recipe));
  CHECK(why.find("stage 0 needs ") == 0);
  CHECK(why.find(" GB of 40.0 GB") != std::string::npos);
}

TEST_CASE("sweep: more GPUs are never slower with the same batch, and never more efficient than the first") {
  const auto points = sweep(base_7b(8, 512), {}, Scaling::strong, {8, 16, 32, 64, 128}, estimated_cost);
  for (size_t i = 1; i < points.size(); ++i) {
    REQUIRE(points[i].best);
    CHECK(points[i].tokens_per_s > points[i - 1].tokens_per_s);
    CHECK(points[i].efficiency <= 1.1);  // a little above 1 where more memory allows a better layout
  }
}
