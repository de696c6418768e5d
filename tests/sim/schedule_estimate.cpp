// How far the estimate is from the engine, for pipelines whose stages are not equal. The bounds are what was measured with this
// seed, rounded up; equal stages are in schedule_formulas.cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "sim/schedule/closed_form.hpp"
#include "sim/schedule/engine.hpp"
#include "tests/sim/random_pipeline.hpp"

using namespace dsllm::sim;

namespace {

struct Error {
  double worst = 0, mean = 0, highest = 0;  // shares of the engine's makespan; highest: of those above it
};

Error error_of(ScheduleKind kind, double spread, double send, bool steady) {
  Chance chance(42);
  Engine engine;
  Error error;
  constexpr int n = 1000;
  for (int i = 0; i < n; ++i) {
    Pipeline pipeline = random_pipeline(chance, kind, spread, send);
    if (steady && kind != ScheduleKind::dualpipe)
      pipeline.micro_batches = pipeline.stages * (4 + pipeline.micro_batches / pipeline.stages);
    const double truth = engine.run(pipeline).makespan_s;
    const double off = (estimate_pipeline(pipeline).makespan_s - truth) / truth;
    error.worst = std::max(error.worst, std::abs(off));
    error.highest = std::max(error.highest, off);
    error.mean += std::abs(off) / n;
  }
  return error;
}

}  // namespace

TEST_CASE("the estimate's error") {
  struct Row {
    ScheduleKind kind;
    double worst, mean;                // stages within 20% of each other, sends up to a tenth of F
    double steady_worst, steady_mean;  // the same, at least four times as many micro-batches as stages
  };
  for (const Row& row : {Row{ScheduleKind::gpipe, 1e-9, 1e-9, 1e-9, 1e-9},
                         Row{ScheduleKind::one_f_one_b, 0.01, 0.0003, 0.01, 0.0003},
                         Row{ScheduleKind::interleaved, 0.08, 0.006, 0.03, 0.002},
                         Row{ScheduleKind::zb_h1, 0.03, 0.001, 0.03, 0.001},
                         Row{ScheduleKind::zb_h2, 0.09, 0.003, 0.02, 0.001},
                         Row{ScheduleKind::dualpipe, 0.07, 0.015, 0.07, 0.015}}) {
    const Error any = error_of(row.kind, 0.2, 0.1, false), steady = error_of(row.kind, 0.2, 0.1, true);
    INFO(std::string(to_string(row.kind)) << ": worst " << 100 * any.worst << "%, mean " << 100 * any.mean
                                          << "%, highest " << 100 * any.highest << "%; steady: worst "
                                          << 100 * steady.worst << "%, mean " << 100 * steady.mean << "%");
    CHECK(any.worst <= row.worst);
    CHECK(any.mean <= row.mean);
    CHECK(steady.worst <= row.steady_worst);
    CHECK(steady.mean <= row.steady_mean);
  }
}

TEST_CASE("the estimate is the engine's time for equal stages with sends") {
  Chance chance(7);
  Engine engine;
  for (const ScheduleKind kind : all_kinds)
    for (int i = 0; i < 500; ++i) {
      Pipeline pipeline = random_pipeline(chance, kind, 0, 0.1);
      pipeline.send_blocks = i % 5 == 0;  // which makes stages unequal: the ends send less
      const bool dual = kind == ScheduleKind::dualpipe;
      const double bound = dual ? (pipeline.send_blocks ? 0.08 : 0.02) : pipeline.send_blocks ? 0.01 : 1e-9;
      const PipelineRun& run = engine.run(pipeline);
      const PipelineEstimate estimate = estimate_pipeline(pipeline);
      CAPTURE(std::string(to_string(kind)));
      CAPTURE(pipeline.send_blocks);
      CHECK(std::abs(estimate.makespan_s - run.makespan_s) <= bound * run.makespan_s);
      CHECK(std::abs(estimate.bubble_of_total - run.bubble_of_total) <= bound);
    }
}
