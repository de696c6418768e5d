// A run's files: the trace is what Perfetto reads, the CSV and the text show the same run.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <sstream>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "sim/export/pipeline_trace.hpp"
#include "sim/schedule/engine.hpp"
#include "tests/sim/random_pipeline.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

Pipeline plain(ScheduleKind kind, int64_t p, int64_t m, ChunkTimes times = {1, 1, 1}) {
  Pipeline pipeline;
  pipeline.kind = kind;
  pipeline.stages = p;
  pipeline.micro_batches = m;
  pipeline.times.assign(static_cast<size_t>(p * chunks_of(pipeline)), times);
  return pipeline;
}

Timeline timeline_of(const Pipeline& pipeline, const RunOptions& options = {}) {
  Timeline timeline;
  run_pipeline(pipeline, options, &timeline);
  return timeline;
}

using Track = std::pair<int64_t, int64_t>;  // process, thread

struct Slice {
  double start, end;
  std::string name;
};

// Checks what the format demands, and returns the slices by track.
std::map<Track, std::vector<Slice>> check_trace(const Json& trace) {
  std::map<Track, std::vector<Slice>> tracks;
  std::map<Track, std::string> names;
  std::map<int64_t, std::pair<Track, double>> starts, ends;
  double before = 0;
  for (const Json& e : trace.at("traceEvents")) {
    const std::string ph = e.at("ph");
    const int64_t pid = e.at("pid");
    if (ph == "M") {
      if (e.at("name") == "thread_name") names[{pid, e.at("tid")}] = e.at("args").at("name");
      continue;
    }
    const double ts = e.at("ts");
    REQUIRE(ts >= before);  // sorted
    before = ts;
    if (ph == "C") {
      REQUIRE(e.at("args").size() == 1);
      continue;
    }
    const Track track{pid, e.at("tid")};
    REQUIRE(names.count(track) == 1);
    if (ph == "X") {
      const double dur = e.at("dur");
      REQUIRE(dur >= 0);
      std::vector<Slice>& slices = tracks[track];
      if (!slices.empty()) REQUIRE(ts >= slices.back().end - 1e-6);  // no overlap; microseconds
      slices.push_back({ts, ts + dur, e.at("name")});
    } else if (ph == "s") {
      REQUIRE(starts.emplace(e.at("id"), std::pair(track, ts)).second);
    } else {
      REQUIRE(ph == "f");
      REQUIRE(e.at("bp") == "e");
      REQUIRE(ends.emplace(e.at("id"), std::pair(track, ts)).second);
    }
  }
  // Arrows come in pairs, forward in time, from a send to a pass of another track that starts there.
  REQUIRE(starts.size() == ends.size());
  for (const auto& [id, start] : starts) {
    const auto end = ends.at(id);
    REQUIRE(end.second >= start.second);
    REQUIRE(end.first.first == start.first.first);
    REQUIRE(end.first.second != start.first.second);
    const auto& slices = tracks.at(end.first);
    REQUIRE(std::any_of(slices.begin(), slices.end(), [&](const Slice& s) { return s.start == end.second; }));
  }
  return tracks;
}

}  // namespace

TEST_CASE("a Chrome trace has tracks that do not overlap and arrows in pairs") {
  Chance chance(3);
  for (const ScheduleKind kind : all_kinds)
    for (int i = 0; i < 6; ++i) {
      Pipeline pipeline = random_pipeline(chance, kind, 0.3, 0.2);
      const std::vector<RankSync> sync(static_cast<size_t>(pipeline.stages), RankSync{0.3, 0.7, 0.2});
      const Timeline timeline = timeline_of(pipeline, {.sync = sync, .buckets = 3});
      const Json trace = parse_json(chrome_trace(timeline), "trace");
      const auto tracks = check_trace(trace);
      size_t slices = 0, counters = 0, arrows = 0;
      for (const auto& [track, list] : tracks) slices += list.size();
      for (const Json& e : trace.at("traceEvents")) {
        counters += e.at("ph") == "C" ? 1 : 0;
        arrows += e.at("ph") == "s" ? 1 : 0;
      }
      CHECK(slices == timeline.events.size());
      CHECK(counters == timeline.memory.size());
      const PipelineRun run = run_pipeline(pipeline);
      CHECK(static_cast<int64_t>(arrows) == run.sends);
    }
}

TEST_CASE("a trace of two replicas, in microseconds") {
  Pipeline pipeline = plain(ScheduleKind::one_f_one_b, 2, 3, {1e-3, 1e-3, 1e-3});
  pipeline.send_s = 1e-4;
  const Timeline timeline = timeline_of(pipeline);
  const TraceProcess processes[] = {{"replica 0", &timeline}, {"replica 1", &timeline}};
  const Json trace = parse_json(chrome_trace(processes), "trace");
  const auto tracks = check_trace(trace);
  CHECK(trace.at("traceEvents").at(0).at("args").at("name") == "replica 0");
  // Of each: two ranks' passes, one send track each.
  CHECK(tracks.size() == 8);
  const std::vector<Slice>& first = tracks.at({1, 0});
  CHECK(first[0].name == "F0");
  CHECK(first[1].name == "F1");
  CHECK(first[2].name == "BW0");
  CHECK(first[0].end == doctest::Approx(1000));
  const std::vector<Slice>& sends = tracks.at({0, 1});
  CHECK(sends[0].name == "send F0");
  CHECK(sends[0].start == doctest::Approx(1000));
  CHECK(sends[0].end == doctest::Approx(1100));
}

TEST_CASE("a timeline in text draws the figures of the papers") {
  // Narayanan et al. 2021, figure 4, with a backward of twice the forward.
  CHECK(timeline_text(timeline_of(plain(ScheduleKind::one_f_one_b, 4, 8))).substr(0, 4 * 43) ==
        "rank 0 |0123......aa4bb5cc6dd7ee.ff.gg.hh|\n"
        "rank 1 |.012....aa3bb4cc5dd6ee7ff.gg.hh..|\n"
        "rank 2 |..01..aa2bb3cc4dd5ee6ff7gg.hh....|\n"
        "rank 3 |...0aa1bb2cc3dd4ee5ff6gg7hh......|\n");
  // Qi et al., figure 3: ZB-H2 without a gap.
  const std::string h2 = timeline_text(timeline_of(plain(ScheduleKind::zb_h2, 4, 8)));
  CHECK(h2.find("rank 0 |0123456aA7bBcC") == 0);
  CHECK(h2.find("A-J of the weights") != std::string::npos);

  const Pipeline long_one = plain(ScheduleKind::one_f_one_b, 2, 500);
  std::istringstream lines(timeline_text(timeline_of(long_one), {.width = 60}));
  std::string line;
  std::getline(lines, line);
  CHECK(line.size() == 60 + 9);
  std::getline(lines, line);
  CHECK(line.size() == 60 + 9);

  const std::vector<RankSync> sync(2, RankSync{0, 2, 1});
  const std::string text = timeline_text(timeline_of(plain(ScheduleKind::one_f_one_b, 2, 2), {.sync = sync}));
  CHECK(text.find("  sync |.........rro|\n") != std::string::npos);
  CHECK_THROWS_AS(timeline_text(timeline_of(long_one), {.width = 0}), ValueError);
  CHECK_THROWS_AS(timeline_text(timeline_of(long_one), {.unit_s = std::nan("")}), ValueError);
}

TEST_CASE("events as CSV") {
  Pipeline pipeline = plain(ScheduleKind::one_f_one_b, 2, 1);
  pipeline.send_s = 0.5;
  CHECK(events_csv(timeline_of(pipeline)) ==
        "rank,stream,name,kind,micro_batch,chunk,start_s,end_s,peer\n"
        "0,compute,F0,forward,0,0,0,1,\n"
        "0,compute,BW0,backward,0,0,5,7,\n"
        "0,send to next,send F0,send,0,0,1,1.5,1\n"
        "1,compute,F0,forward,0,0,1.5,2.5,\n"
        "1,compute,BW0,backward,0,0,2.5,4.5,\n"
        "1,send to previous,send B0,send,0,0,4.5,5,0\n");
}
