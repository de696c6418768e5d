// A step run event by event, against what can be said without the engine, and against the closed-form estimate.
#include "sim/commands/step_run.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/search/layouts.hpp"

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

Machine machine(const Scenario& s) {
  return machine_of(s.cluster, s.recipe);
}

}  // namespace

TEST_CASE("step: one GPU does its passes, the optimizer, and nothing else") {
  const Scenario s = checked(base_7b(1, 12));
  const StepRun step = run_step(s, machine(s));
  const ChunkTimes& t = step.pipeline.times[0];
  const double passes_s = 12 * (t.forward_s + t.full_backward_s());
  CHECK(step.run.passes_s == doctest::Approx(passes_s));
  CHECK(step.tails[0].gradients_s == 0);
  CHECK(step.step_s == doctest::Approx(passes_s + step.tails[0].optimizer_s + constants().step_s));
}

TEST_CASE(
    "step: without overlap, reduction, optimizer and gathering follow the last pass one after the other") {
  Scenario s = base_7b(64, 256);
  s.cluster.gpu = "a100-sxm";
  s.layout.zero = 1;
  s.recipe.overlap_dp = false;
  s = checked(s);
  const StepRun apart = run_step(s, machine(s));
  const TailTime& t = apart.tails[0];
  CHECK(t.gradients_s > 0);
  CHECK(t.weights_s > 0);
  CHECK(apart.step_s == doctest::Approx(apart.run.passes_s + t.gradients_s + t.optimizer_s + t.weights_s +
                                        constants().step_s));
  s.recipe.overlap_dp = true;
  CHECK(run_step(s, machine(s)).step_s < apart.step_s);
}

TEST_CASE("step: every rank's work is its micro-batches times its passes") {
  for (const char* schedule : {"gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2", "dualpipe"}) {
    CAPTURE(schedule);
    Scenario s = base_7b(32, 256);
    s.layout.pp = 4;
    s.layout.schedule = schedule_from_string(schedule);
    if (s.layout.schedule == ScheduleKind::interleaved) s.layout.interleave = 2;
    s = checked(s);
    Timeline timeline;
    const StepRun step = run_step(s, machine(s), &timeline);
    const double m = static_cast<double>(s.layout.micro_batches()) *
                     (step.pipeline.kind == ScheduleKind::dualpipe ? 0.5 : 1);
    for (size_t stage = 0; stage < 4; ++stage) {
      double work_s = 0;
      for (size_t c = 0; c < static_cast<size_t>(step.pipeline.chunks); ++c) {
        const ChunkTimes& t = step.pipeline.times[stage * static_cast<size_t>(step.pipeline.chunks) + c];
        work_s += m * (t.forward_s + t.full_backward_s());
      }
      CHECK(step.run.ranks[stage].busy_s == doctest::Approx(work_s));
    }
    CHECK(step.step_s > step.run.span_s);
    CHECK(timeline.events.size() > 100);
    // The formulas of memory.hpp and the run agree on what stage 0 holds.
    if (s.layout.schedule == ScheduleKind::one_f_one_b)
      CHECK(step.run.ranks[0].peak_bytes == doctest::Approx(step.memory[0].activations).epsilon(0.01));
  }
}

TEST_CASE("step: the estimate is within 1% of the run on average, and within 25% always") {
  for (const char* gpu : {"a100-sxm", "h800-sxm"}) {
    Scenario base = base_7b(64, 768);
    base.model = find_model("deepseek-llm-67b");
    base.cluster.gpu = gpu;
    base.cluster.hbm_bytes = 1e13;
    const LayoutSpace space(base, {});
    const Machine m = machine(base);
    double sum = 0, largest = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < space.size(); i += 211) {
      Scenario s = base;
      s.layout = space.at(i);
      if (why_impossible(s) != nullptr) continue;
      const double error = std::abs(estimate(s, m).step_s / run_step(s, m).step_s - 1);
      sum += error;
      largest = std::max(largest, error);
      ++count;
    }
    CHECK(count > 500);
    MESSAGE(std::string(gpu) << ": " << count << " layouts, mean " << 100 * sum / static_cast<double>(count)
                             << "%, largest " << 100 * largest << "%");
    CHECK(sum / static_cast<double>(count) < 0.01);
    CHECK(largest < 0.25);
  }
}
