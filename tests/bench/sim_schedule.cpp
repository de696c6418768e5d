// The pipeline engine: passes and events (passes and sends) a second, builders included, and the estimate that the search uses.
#include <benchmark/benchmark.h>

#include "sim/export/pipeline_trace.hpp"
#include "sim/schedule/closed_form.hpp"
#include "sim/schedule/engine.hpp"

using namespace dsllm::sim;

namespace {

// Stages within 10% of each other, sends of 5% of a forward.
Pipeline pipeline_of(ScheduleKind kind, int64_t stages, int64_t micro_batches) {
  Pipeline p;
  p.kind = kind;
  p.stages = stages;
  p.micro_batches = micro_batches;
  p.chunks = kind == ScheduleKind::interleaved ? 4 : 1;
  for (int64_t i = 0; i < stages * chunks_of(p); ++i) {
    const double scale = 1 + 0.1 * static_cast<double>(i * 7 % 11) / 11;
    p.times.push_back({scale, 1.1 * scale, 0.8 * scale});
    p.bytes.push_back({1e9, 3e8});
  }
  p.send_s = 0.05;
  return p;
}

void engine(benchmark::State& state, ScheduleKind kind) {
  const Pipeline pipeline = pipeline_of(kind, state.range(0), state.range(1));
  Engine engine;
  int64_t passes = 0, events = 0;
  for (auto _ : state) {
    const PipelineRun& run = engine.run(pipeline);
    benchmark::DoNotOptimize(run.makespan_s);
    passes += run.passes;
    events += run.events();
  }
  state.counters["passes"] = benchmark::Counter(static_cast<double>(passes), benchmark::Counter::kIsRate);
  state.counters["events"] = benchmark::Counter(static_cast<double>(events), benchmark::Counter::kIsRate);
}

void fresh_engine(benchmark::State& state, ScheduleKind kind) {  // as a program that runs one pipeline
  const Pipeline pipeline = pipeline_of(kind, state.range(0), state.range(1));
  for (auto _ : state) benchmark::DoNotOptimize(run_pipeline(pipeline).makespan_s);
}

void with_timeline(benchmark::State& state, ScheduleKind kind) {
  const Pipeline pipeline = pipeline_of(kind, state.range(0), state.range(1));
  Engine engine;
  Timeline timeline;
  for (auto _ : state) benchmark::DoNotOptimize(engine.run(pipeline, {}, &timeline).makespan_s);
}

void trace(benchmark::State& state, ScheduleKind kind) {
  Timeline timeline;
  run_pipeline(pipeline_of(kind, state.range(0), state.range(1)), {}, &timeline);
  for (auto _ : state) benchmark::DoNotOptimize(chrome_trace(timeline).size());
}

void estimate(benchmark::State& state, ScheduleKind kind) {
  Pipeline pipeline = pipeline_of(kind, state.range(0), 512);
  for (auto _ : state) {
    pipeline.times[0].forward_s += 1e-9;  // so that it cannot be computed once for all
    benchmark::DoNotOptimize(estimate_pipeline(pipeline));
  }
}

constexpr ScheduleKind one_f_one_b = ScheduleKind::one_f_one_b, zb_h2 = ScheduleKind::zb_h2;
BENCHMARK_CAPTURE(engine, gpipe, ScheduleKind::gpipe)->Args({64, 512})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(engine, 1f1b, one_f_one_b)->Args({8, 64})->Args({64, 512})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(engine, interleaved_4, ScheduleKind::interleaved)
    ->Args({64, 512})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(engine, zb_h1, ScheduleKind::zb_h1)->Args({64, 512})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(engine, zb_h2, zb_h2)->Args({8, 64})->Args({64, 512})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(engine, dualpipe, ScheduleKind::dualpipe)->Args({64, 512})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(fresh_engine, 1f1b, one_f_one_b)->Args({64, 512})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(with_timeline, 1f1b, one_f_one_b)
    ->Args({8, 64})
    ->Args({64, 512})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(trace, 1f1b, one_f_one_b)->Args({8, 64})->Args({64, 512})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate, gpipe, ScheduleKind::gpipe)->Arg(8)->Arg(64);
BENCHMARK_CAPTURE(estimate, 1f1b, one_f_one_b)->Arg(8)->Arg(16)->Arg(64);
BENCHMARK_CAPTURE(estimate, interleaved_4, ScheduleKind::interleaved)->Arg(8)->Arg(64);
BENCHMARK_CAPTURE(estimate, zb_h1, ScheduleKind::zb_h1)->Arg(8)->Arg(64);
BENCHMARK_CAPTURE(estimate, zb_h2, zb_h2)->Arg(8)->Arg(64);
BENCHMARK_CAPTURE(estimate, dualpipe, ScheduleKind::dualpipe)->Arg(8)->Arg(64);

}  // namespace
