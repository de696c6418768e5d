// The simulator's fast path: layouts a second on one core, each with its time by the closed forms and the memory of its
// fullest rank; and what they are made of.
#include <benchmark/benchmark.h>

#include "sim/commands/cost.hpp"
#include "sim/estimate.hpp"
#include "sim/search/search.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

Scenario on_cluster(int64_t gpus) {
  Scenario s;
  s.model = find_model("deepseek-llm-67b");
  s.cluster.gpu = "h100-sxm";
  s.cluster.gpus = gpus;
  s.layout.global_batch = 4608;
  return s;
}

// Every 97th possible layout of the whole space, one after the other.
void estimate_layouts(benchmark::State& state) {
  const Scenario base = on_cluster(state.range(0));
  const LayoutSpace space(base, {});
  std::vector<Scenario> scenarios;
  for (int64_t i = 0; i < space.size(); i += 97) {
    Scenario s = base;
    s.layout = space.at(i);
    if (why_impossible(s) == nullptr) scenarios.push_back(s);
  }
  Estimator estimator(machine_of(base.cluster, base.recipe));
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(estimator(scenarios[next]));
    if (++next == scenarios.size()) next = 0;
  }
  state.counters["layouts"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(estimate_layouts)->Arg(512)->Arg(2048);

void rank_memory_of_a_layout(benchmark::State& state) {
  Scenario s = on_cluster(1024);
  s.layout.tp = s.layout.pp = 8;
  s = checked(s);
  const Machine machine = machine_of(s.cluster, s.recipe);
  for (auto _ : state) benchmark::DoNotOptimize(worst_rank_memory(s, machine));
}
BENCHMARK(rank_memory_of_a_layout);

// The whole space on as many threads as there are cores, without the engine's second look.
void search_67b(benchmark::State& state) {
  const Scenario base = on_cluster(state.range(0));
  int64_t layouts = 0;
  for (auto _ : state) {
    const LayoutSpace space(base, {});
    const SearchResult result = search(space, estimated_cost);
    layouts += result.layouts;
    benchmark::DoNotOptimize(result.best.data());
  }
  state.counters["layouts"] = benchmark::Counter(static_cast<double>(layouts), benchmark::Counter::kIsRate);
}
BENCHMARK(search_67b)->Arg(2048)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
