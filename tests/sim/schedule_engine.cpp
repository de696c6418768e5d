// What must hold for every run, checked from its timeline by code that knows nothing of the engine; and what the engine says to
// lists that cannot be run.
#include "sim/schedule/engine.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "ref/core/error.hpp"
#include "sim/schedule/closed_form.hpp"
#include "tests/sim/random_pipeline.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

Pipeline plain(ScheduleKind kind, int64_t p, int64_t m) {
  Pipeline pipeline;
  pipeline.kind = kind;
  pipeline.stages = p;
  pipeline.micro_batches = m;
  pipeline.times.assign(static_cast<size_t>(p * chunks_of(pipeline)), {1, 1, 1});
  return pipeline;
}

// What a pass does, one entry a letter.
struct Step {
  char letter;  // F, B, W
  int64_t part, micro_batch;
  double start, end;
};

std::vector<Step> steps_of(const Pipeline& pipeline, const TimelineEvent& e) {
  const auto step = [&](char letter, int64_t chunk, int64_t batch) {
    return Step{letter, part_of(pipeline.kind, pipeline.stages, e.rank, chunk), batch, e.start_s, e.end_s};
  };
  const Pass& a = e.pass;
  switch (a.kind) {
    case PassKind::forward:
      return {step('F', a.chunk, a.micro_batch)};
    case PassKind::backward_input:
      return {step('B', a.chunk, a.micro_batch)};
    case PassKind::backward_weight:
      return {step('W', a.chunk, a.micro_batch)};
    case PassKind::backward:
      return {step('B', a.chunk, a.micro_batch), step('W', a.chunk, a.micro_batch)};
    case PassKind::pair:
      return {step('F', a.chunk, a.micro_batch), step('B', a.pair_chunk, a.pair_micro_batch),
              step('W', a.pair_chunk, a.pair_micro_batch)};
  }
  return {};
}

void check_timeline(const Pipeline& pipeline, const PipelineRun& run, const Timeline& timeline) {
  const bool dual = pipeline.kind == ScheduleKind::dualpipe;
  const int64_t p = pipeline.stages, m = pipeline.micro_batches;
  const int64_t parts = dual ? p : p * chunks_of(pipeline);
  const double slack = 1e-9 * run.makespan_s;

  // No track overlaps itself.
  std::map<std::pair<int32_t, Stream>, double> track_end;
  double busy = 0;
  for (const TimelineEvent& e : timeline.events) {
    double& end = track_end.try_emplace({e.rank, e.stream}, 0.0).first->second;
    REQUIRE(e.start_s >= end - slack);
    REQUIRE(e.end_s >= e.start_s);
    end = e.end_s;
    if (e.stream == Stream::compute) busy += e.end_s - e.start_s;
  }

  // Every micro-batch passes every part once, in each direction.
  std::map<std::tuple<char, int64_t, int64_t>, Step> done;
  for (const TimelineEvent& e : timeline.events)
    if (e.kind == EventKind::pass)
      for (const Step& s : steps_of(pipeline, e))
        REQUIRE(done.emplace(std::tuple(s.letter, s.part, s.micro_batch), s).second);
  REQUIRE(static_cast<int64_t>(done.size()) == 3 * parts * m);

  // Nothing before what it depends on, sends included.
  const bool sends = p > 1;
  const double send = sends ? pipeline.send_s : 0;
  for (const auto& [key, s] : done) {
    const auto& [letter, part, batch] = key;
    if (letter == 'F' && part > 0) {
      REQUIRE(s.start >= done.at({'F', part - 1, batch}).end + send - slack);
    }
    if (letter == 'B' && part < parts - 1) {
      REQUIRE(s.start >= done.at({'B', part + 1, batch}).end + send - slack);
    }
    if (letter == 'B') {
      REQUIRE(s.start >= done.at({'F', part, batch}).end - slack);
    }
    if (letter == 'W') {
      REQUIRE(s.start >= done.at({'B', part, batch}).start - slack);
      REQUIRE(s.end >= done.at({'B', part, batch}).end - slack);
    }
  }

  // Work is conserved.
  double work = 0, counted = 0;
  for (const ChunkTimes& t : pipeline.times)
    work += static_cast<double>(dual ? m / 2 : m) * (t.forward_s + t.full_backward_s());
  for (const RankRun& r : run.ranks) counted += r.busy_s;
  if (pipeline.overlapped_pair_s == 0) {
    CHECK(std::abs(work - counted) <= 1e-9 * work);
  }
  CHECK(std::abs(busy - counted) <= 1e-9 * work);

  // Sends: one for every result that another rank needs, each before the pass that waits for it.
  int64_t sent = 0;
  for (const TimelineEvent& e : timeline.events)
    if (e.kind == EventKind::send_activation || e.kind == EventKind::send_gradient) {
      ++sent;
      REQUIRE(e.consumer >= 0);
      const TimelineEvent& consumer = timeline.events[static_cast<size_t>(e.consumer)];
      REQUIRE(consumer.rank == e.peer);
      REQUIRE(consumer.start_s >= e.end_s - slack);
      REQUIRE(std::abs(e.end_s - e.start_s - pipeline.send_s) <= slack);
    }
  CHECK(sent == (p == 1 ? 0 : 2 * (parts - 1) * m));
  CHECK(sent == run.sends);

  // Nobody waits without a reason: a pass starts when its rank is free and what others send has arrived.
  std::vector<double> arrived(timeline.events.size(), 0);
  for (const TimelineEvent& e : timeline.events)
    if (e.consumer >= 0) {
      double& last_arrival = arrived[static_cast<size_t>(e.consumer)];
      last_arrival = std::max(last_arrival, e.end_s);
    }
  std::vector<double> free_from(static_cast<size_t>(p), 0);
  for (size_t i = 0; i < timeline.events.size() && !pipeline.send_blocks; ++i) {
    const TimelineEvent& e = timeline.events[i];
    if (e.kind != EventKind::pass) continue;
    double& free = free_from[static_cast<size_t>(e.rank)];
    REQUIRE(e.start_s <= std::max(free, arrived[i]) + slack);
    free = e.end_s;
  }
  if (pipeline.send_blocks) {  // no pass while the rank sends
    std::vector<std::vector<std::pair<double, double>>> sending(static_cast<size_t>(p));
    for (const TimelineEvent& e : timeline.events)
      if (e.peer >= 0) sending[static_cast<size_t>(e.rank)].emplace_back(e.start_s, e.end_s);
    for (auto& list : sending) std::sort(list.begin(), list.end());
    for (const TimelineEvent& e : timeline.events) {
      if (e.kind != EventKind::pass) continue;
      const auto& list = sending[static_cast<size_t>(e.rank)];
      const auto after = std::lower_bound(list.begin(), list.end(), std::pair(e.start_s, 0.0));
      if (after != list.begin()) REQUIRE(std::prev(after)->second <= e.start_s + slack);
    }
  }

  // Memory: from nothing to nothing, peaks as reported, never negative.
  std::vector<double> last(static_cast<size_t>(p), 0), peak(static_cast<size_t>(p), 0), time(last);
  for (const MemorySample& sample : timeline.memory) {
    const auto r = static_cast<size_t>(sample.rank);
    REQUIRE(sample.time_s >= time[r] - slack);
    REQUIRE(sample.bytes >= -1e-3);
    time[r] = sample.time_s;
    last[r] = sample.bytes;
    peak[r] = std::max(peak[r], sample.bytes);
  }
  for (size_t r = 0; r < last.size(); ++r) {
    CHECK(std::abs(last[r]) <= 1e-9 * peak[r]);
    CHECK(peak[r] == run.ranks[r].peak_bytes);
    const PeakInFlight held =
        peak_in_flight(pipeline.kind, p, m, chunks_of(pipeline), static_cast<int64_t>(r));
    double largest = 0;
    for (int64_t c = 0; c < chunks_of(pipeline); ++c)
      largest = std::max(
          largest,
          pipeline.bytes[r * static_cast<size_t>(chunks_of(pipeline)) + static_cast<size_t>(c)].activation);
    CHECK(peak[r] <= static_cast<double>(held.activations + held.weight_contexts) * largest * (1 + 1e-12));
  }
}

}  // namespace

TEST_CASE("runs keep the rules, whatever the pipeline") {
  Chance chance(2401);
  Engine engine;
  Timeline timeline;
  for (const ScheduleKind kind : all_kinds)
    for (int i = 0; i < 60; ++i) {
      Pipeline pipeline = random_pipeline(chance, kind, i % 2 == 0 ? 0.5 : 0, 0.3);
      pipeline.send_blocks = i % 3 == 0;
      if (i % 5 == 0) pipeline.send_s *= 20;  // sends that queue up
      if (kind == ScheduleKind::dualpipe && i % 4 == 0) pipeline.overlapped_pair_s = 1.7;
      CAPTURE(std::string(to_string(kind)));
      CAPTURE(pipeline.stages);
      CAPTURE(pipeline.micro_batches);
      CAPTURE(pipeline.chunks);
      check_lists(pipeline, build_schedule(pipeline));
      const PipelineRun run = engine.run(pipeline, {}, &timeline);
      check_timeline(pipeline, run, timeline);
      // With and without notes, and with an engine that has run something else: the same.
      const PipelineRun again = run_pipeline(pipeline);
      CHECK(again.makespan_s == run.makespan_s);
      CHECK(again.events() == run.events());
      CHECK(engine.run(pipeline, build_schedule(pipeline)).makespan_s == run.makespan_s);
    }
}

TEST_CASE("more micro-batches never raise the bubble rate") {
  Chance chance(17);
  Engine engine;
  for (const ScheduleKind kind : all_kinds)
    for (int i = 0; i < 40; ++i) {
      Pipeline pipeline = random_pipeline(chance, kind, i % 2 == 0 ? 0.4 : 0, 0);
      const int64_t step = kind == ScheduleKind::interleaved ? pipeline.stages
                           : kind == ScheduleKind::dualpipe  ? 2
                                                             : 1;
      pipeline.micro_batches = kind == ScheduleKind::dualpipe ? 2 * pipeline.stages : step;
      double before = 1;
      for (int k = 0; k < 30; ++k, pipeline.micro_batches += step) {
        const double rate = engine.run(pipeline).bubble_of_total;
        CAPTURE(std::string(to_string(kind)));
        CAPTURE(pipeline.stages);
        CAPTURE(pipeline.micro_batches);
        CHECK(rate <= before + 1e-12);
        before = rate;
      }
    }
}

TEST_CASE("one stage, one micro-batch, fewer micro-batches than stages") {
  Engine engine;
  for (const ScheduleKind kind : {ScheduleKind::gpipe, ScheduleKind::one_f_one_b, ScheduleKind::interleaved,
                                  ScheduleKind::zb_h1, ScheduleKind::zb_h2}) {
    const PipelineRun& one = engine.run(plain(kind, 1, 7));
    CHECK(one.makespan_s == 21);
    CHECK(one.bubble_of_total == 0);
    CHECK(one.bubble_of_ideal == 0);
    CHECK(one.sends == 0);
    const PipelineRun& single = engine.run(plain(kind, 5, 1));
    CHECK(single.makespan_s == (kind == ScheduleKind::zb_h1 || kind == ScheduleKind::zb_h2 ? 11 : 15));
    CHECK(engine.run(plain(kind, 1, 1)).makespan_s == 3);
    // Qi et al., appendix H, m <= p: 1F1B (m+p-1)(F+B+W), zero bubble (m+p-1)(F+B) + W; the longest span of a rank.
    const double time = engine.run(plain(kind, 6, 4)).span_s;
    CHECK(time == (kind == ScheduleKind::zb_h1 || kind == ScheduleKind::zb_h2 ? 9 * 2 + 1 : 9 * 3));
  }
  Pipeline nothing = plain(ScheduleKind::one_f_one_b, 3, 4);
  nothing.times.assign(3, {0, 0, 0});
  CHECK(engine.run(nothing).makespan_s == 0);
  CHECK(engine.run(nothing).bubble_of_total == 0);
}

TEST_CASE("gathers, reductions and the optimizer on a stream of their own") {
  Engine engine;
  const Pipeline pipeline = plain(ScheduleKind::one_f_one_b, 2, 4);  // 15 without
  std::vector<RankSync> sync(2, RankSync{0, 2, 0.5});
  RunOptions options{.sync = sync};
  const PipelineRun whole = engine.run(pipeline, options);
  CHECK(whole.passes_s == 15);
  CHECK(whole.makespan_s == 17.5);          // after the last backward of rank 0
  CHECK(whole.ranks[1].end_s == 13 + 2.5);  // rank 1 is done two passes earlier
  options.global_norm = true;
  CHECK(engine.run(pipeline, options).ranks[1].end_s == 17.5);
  options.buckets =
      4;  // the last backward takes 2: its quarters are done at 13.5, 14, 14.5 and 15; each reduction 0.5
  CHECK(engine.run(pipeline, options).makespan_s == 16);
  sync.assign(2, RankSync{8, 0, 0});
  options = {.sync = sync};
  CHECK(engine.run(pipeline, options).makespan_s == 15 + 8);
  options.buckets =
      8;  // a piece of the weights each second; the last one is followed by an eighth of the first forward
  Timeline timeline;
  const PipelineRun& run = engine.run(pipeline, options, &timeline);
  CHECK(run.ranks[0].first_start_s == 0);
  CHECK(std::abs(run.makespan_s - (15 - 1 + 8 + 0.125)) <= 1e-12);
  CHECK(std::count_if(timeline.events.begin(), timeline.events.end(),
                      [](const TimelineEvent& e) { return e.kind == EventKind::gather; }) == 16);
}

TEST_CASE("lists that cannot be run say who waits for what") {
  Engine engine;
  const Pipeline pipeline = plain(ScheduleKind::one_f_one_b, 2, 2);
  Schedule schedule = build_schedule(pipeline);
  CHECK(engine.run(pipeline, schedule).makespan_s == 9);
  const Schedule good = schedule;
  // Rank 0: F0 F1 BW0 BW1. Its first backward before its second forward is fine; before its first forward it is not.
  std::swap(schedule.passes[0], schedule.passes[2]);
  CHECK_THROWS_WITH_AS(
      engine.run(pipeline, schedule),
      "schedule: expected an order in which every pass gets what it needs, got rank 0 waits before "
      "BW0 for the backward of micro-batch 0 by part 1 of the model; rank 1 waits before F0 for the "
      "forward of micro-batch 0 by part 0 of the model",
      ValueError);
  schedule = good;
  schedule.passes[1] = schedule.passes[0];
  CHECK_THROWS_WITH_AS(engine.run(pipeline, schedule),
                       "schedule: expected every pass once, got F0 again on rank 0", ValueError);
  schedule = good;
  schedule.passes.pop_back();
  --schedule.begin.back();
  CHECK_THROWS_WITH_AS(engine.run(pipeline, schedule), "schedule: expected 6 F, B and W on rank 1, got 4",
                       ValueError);
  schedule = good;
  schedule.passes[0].micro_batch = 2;
  CHECK_THROWS_AS(engine.run(pipeline, schedule), ValueError);
  schedule = good;
  schedule.begin.pop_back();
  CHECK_THROWS_AS(engine.run(pipeline, schedule), ValueError);
  // A micro-batch that enters at rank 0 of DualPipe does not pass the parts of the other direction.
  const Pipeline dual = plain(ScheduleKind::dualpipe, 2, 4);
  Schedule crossed = build_schedule(dual);
  crossed.passes[0].chunk = 1;
  CHECK_THROWS_WITH_AS(engine.run(dual, crossed),
                       "schedule: expected a chunk and a micro-batch of the rank, got F0.1 on rank 0",
                       ValueError);
  // The engine is as good as new.
  CHECK(engine.run(pipeline).makespan_s == 9);
}

TEST_CASE("pipelines that cannot be name the field and the rule") {
  const auto bad = [](auto change, ScheduleKind kind = ScheduleKind::one_f_one_b) {
    Pipeline p = plain(kind, 4, 8);
    change(p);
    return p;
  };
  Engine engine;
  CHECK_THROWS_WITH_AS(engine.run(bad([](Pipeline& p) { p.stages = 0; })),
                       "stages: expected 1 to 65536, got 0", ConfigError);
  CHECK_THROWS_WITH_AS(engine.run(bad([](Pipeline& p) { p.micro_batches = -1; })),
                       "micro_batches: expected 1 to 16777216, got -1", ConfigError);
  CHECK_THROWS_AS(engine.run(bad([](Pipeline& p) { p.times.pop_back(); })), ConfigError);
  CHECK_THROWS_AS(engine.run(bad([](Pipeline& p) { p.chunks = 2; })), ConfigError);
  CHECK_THROWS_AS(engine.run(bad([](Pipeline& p) { p.times[1].forward_s = std::nan(""); })), ConfigError);
  CHECK_THROWS_AS(engine.run(bad([](Pipeline& p) { p.send_s = -1; })), ConfigError);
  CHECK_THROWS_AS(engine.run(bad([](Pipeline& p) { p.bytes.assign(4, {1, 2}); })), ConfigError);
  CHECK_THROWS_AS(engine.run(bad([](Pipeline& p) {
    p.micro_batches = int64_t{1} << 24;
    p.stages = 1 << 16;
  })),
                  ConfigError);
  CHECK_THROWS_WITH_AS(
      engine.run(bad([](Pipeline& p) { p.micro_batches = 6, p.chunks = 2; }, ScheduleKind::interleaved)),
      "micro_batches: expected a multiple of stages = 4 for interleaved 1F1B, got 6", ConfigError);
  CHECK_THROWS_WITH_AS(engine.run(bad([](Pipeline& p) { p.stages = 3; }, ScheduleKind::dualpipe)),
                       "stages: expected an even number for DualPipe, got 3", ConfigError);
  CHECK_THROWS_WITH_AS(engine.run(bad([](Pipeline& p) { p.micro_batches = 6; }, ScheduleKind::dualpipe)),
                       "micro_batches: expected at least 2 * stages = 8 for DualPipe, got 6", ConfigError);
  CHECK_THROWS_AS(engine.run(bad([](Pipeline& p) { p.micro_batches = 9; }, ScheduleKind::dualpipe)),
                  ConfigError);
  const std::vector<RankSync> one(1);
  CHECK_THROWS_AS(engine.run(plain(ScheduleKind::gpipe, 2, 2), {.sync = one}), ConfigError);
}
