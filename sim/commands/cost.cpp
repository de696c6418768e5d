#include "sim/commands/cost.hpp"

#include <memory>

#include "sim/commands/step_run.hpp"

namespace dsllm::sim {

namespace {

// Of a candidate that the engine runs, so that a search's last step takes seconds at most. A step with more is ranked by
// the estimate.
constexpr int64_t most_passes = 1 << 20;

}  // namespace

CostFunction estimated_cost(const Scenario& base) {
  const auto estimator = std::make_shared<Estimator>(machine_of(base.cluster, base.recipe));
  return [estimator](const Scenario& s) {
    const Estimate e = (*estimator)(s);
    return Cost{e.step_s, e.worst_rank_bytes, e.fits};
  };
}

CostFunction engine_cost(const Scenario& base) {
  const Machine machine = machine_of(base.cluster, base.recipe);
  return [machine, by_formula = estimated_cost(base)](const Scenario& s) {
    if (forward_passes(s) > most_passes) return by_formula(s);
    const StepRun step = run_step(s, machine);
    return Cost{step.step_s, step.memory[static_cast<size_t>(step.worst_stage)].total(), step.fits};
  };
}

std::string why_too_large(const Scenario& s, const Machine& machine) {
  int64_t stage = 0;
  const RankMemory memory = worst_rank_memory(s, machine, &stage);
  return why_it_does_not_fit(memory, machine, stage);
}

}  // namespace dsllm::sim
