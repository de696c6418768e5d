#include "sim/estimate.hpp"

#include <algorithm>

#include "sim/model_cost.hpp"
#include "sim/schedule/closed_form.hpp"

namespace dsllm::sim {

Estimator::Estimator(const Machine& machine, const Constants& constants)
    : rates_(rates_of(machine, constants)) {}

StepTime Estimator::step_time(const Scenario& s) {
  pipeline_of(rates_, s, pipeline_);
  const Pipeline& p = pipeline_;
  StepTime t;
  for (int64_t stage = 0; stage < p.stages; ++stage) {
    double passes_s = 0;
    for (int64_t chunk = 0; chunk < p.chunks; ++chunk) {
      const ChunkTimes& c = p.times[static_cast<size_t>(stage * p.chunks + chunk)];
      passes_s += c.forward_s + c.full_backward_s();
    }
    // DualPipe: half of the micro-batches go through each of a rank's two parts.
    const double each = p.kind == ScheduleKind::dualpipe ? 0.5 : 1;
    t.passes_s = std::max(t.passes_s, each * static_cast<double>(p.micro_batches) * passes_s);
  }
  const PipelineEstimate run = estimate_pipeline(p);
  // ZB-H2's ranks need not begin a step together (optimizer post-validation), so an iteration costs their span.
  const double pipeline_s = p.kind == ScheduleKind::zb_h2 ? run.span_s : run.makespan_s;
  t.bubble_s = std::max(0.0, pipeline_s - t.passes_s);

  // A stage ends earlier than the first by the backward passes of those before it; its reduction has that time as well.
  const LayerTime layer = layer_time(rates_, s);
  double earlier_s = 0;
  for (int64_t stage = 0; stage < p.stages; ++stage) {
    const TailTime tail = tail_time(rates_, s, layer, stage);
    t.gradients_s = std::max(t.gradients_s, tail.gradients_exposed_s - earlier_s);
    t.weights_s = std::max(t.weights_s, tail.weights_exposed_s);
    t.optimizer_s = std::max(t.optimizer_s, tail.optimizer_s);
    if (p.kind != ScheduleKind::dualpipe)
      earlier_s += p.times[static_cast<size_t>(stage * p.chunks)].backward_input_s;
  }
  t.other_s = rates_.constants.step_s;
  return t;
}

Estimate Estimator::operator()(const Scenario& s) {
  Estimate e;
  e.time = step_time(s);
  e.step_s = e.time.total();
  e.worst_rank_bytes = worst_rank_memory(s, rates_.machine, &e.worst_stage).total();
  e.fits = e.worst_rank_bytes <= rates_.machine.hbm_bytes;
  return e;
}

Estimate estimate(const Scenario& scenario, const Machine& machine, const Constants& constants) {
  return Estimator(machine, constants)(scenario);
}

double tokens_per_s(const Scenario& s, double step_s) {
  return static_cast<double>(s.layout.global_batch) * static_cast<double>(s.model.seq_len) / step_s;
}

double model_flops_utilization(const Scenario& s, const Machine& m, double step_s, bool causal) {
  return utilization(step_flops(s.model, s.layout.global_batch, {.causal = causal}), step_s, m.gpus,
                     m.flops_per_s);
}

double hardware_flops_utilization(const Scenario& s, const Machine& m, double step_s, bool causal) {
  return utilization(
      step_flops(s.model, s.layout.global_batch, {.causal = causal, .recompute = s.layout.recompute}), step_s,
      m.gpus, m.flops_per_s);
}

}  // namespace dsllm::sim
