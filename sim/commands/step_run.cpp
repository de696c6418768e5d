#include "sim/commands/step_run.hpp"

#include <algorithm>

namespace dsllm::sim {

int64_t forward_passes(const Scenario& s) {
  return s.layout.micro_batches() * s.layout.pp * s.layout.interleave;
}

StepRun run_step(const Scenario& s, const Machine& machine, Timeline* timeline) {
  const Layout& l = s.layout;
  const Rates rates = rates_of(machine, constants());
  StepRun step;
  Pipeline& p = step.pipeline;
  pipeline_of(rates, s, p);
  for (int64_t stage = 0; stage < p.stages; ++stage)
    for (int64_t chunk = 0; chunk < p.chunks; ++chunk) {
      // The engine frees what the weights' pass does not need. With full recomputation that pass needs more than was
      // kept until then; the engine does not see this peak, the closed forms of memory.hpp do.
      ChunkBytes bytes = chunk_bytes(s, stage, chunk);
      bytes.weight_context = std::min(bytes.weight_context, bytes.activation);
      p.bytes.push_back(bytes);
    }

  const LayerTime layer = layer_time(rates, s);
  const auto chunks = static_cast<double>(p.chunks);
  std::vector<RankSync> sync;
  for (int64_t stage = 0; stage < p.stages; ++stage) {
    const TailTime t = tail_time(rates, s, layer, stage);
    step.tails.push_back(t);
    if (s.recipe.overlap_dp)
      sync.push_back({t.weights_s / chunks, t.gradients_s / chunks, t.optimizer_s});
    else
      sync.push_back({0, 0, t.gradients_s + t.optimizer_s + t.weights_s});
  }
  const bool together = p.kind != ScheduleKind::zb_h2;
  const int64_t layers = s.model.n_layers / (p.stages * p.chunks);
  step.run = run_pipeline(
      p, {.sync = sync, .buckets = std::clamp<int64_t>(layers, 1, 64), .global_norm = together}, timeline);
  double longest_s = 0;
  for (const RankRun& rank : step.run.ranks) longest_s = std::max(longest_s, rank.end_s - rank.first_start_s);
  step.step_s = (together ? step.run.makespan_s : longest_s) + rates.constants.step_s;

  for (int64_t stage = 0; stage < l.pp; ++stage) {
    step.memory.push_back(rank_memory(s, machine, stage));
    if (step.memory.back().total() > step.memory[static_cast<size_t>(step.worst_stage)].total())
      step.worst_stage = stage;
  }
  step.fits = step.memory[static_cast<size_t>(step.worst_stage)].total() <= machine.hbm_bytes;
  return step;
}

}  // namespace dsllm::sim
