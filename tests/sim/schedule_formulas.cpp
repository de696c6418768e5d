// The engine against what papers publish: formulas of every schedule, and the bubble rates that Qi et al. measured in
// simulation.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "sim/schedule/closed_form.hpp"
#include "sim/schedule/engine.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

constexpr std::array<ScheduleKind, 6> all_kinds{ScheduleKind::gpipe,       ScheduleKind::one_f_one_b,
                                                ScheduleKind::interleaved, ScheduleKind::zb_h1,
                                                ScheduleKind::zb_h2,       ScheduleKind::dualpipe};

// Equal stages; F, B, W are a whole stage's (DualPipe: a part's).
Pipeline equal_stages(ScheduleKind kind, int64_t p, int64_t m, int64_t v, double f, double b, double w) {
  Pipeline pipeline;
  pipeline.kind = kind;
  pipeline.stages = p;
  pipeline.micro_batches = m;
  pipeline.chunks = v;
  const auto parts = static_cast<double>(v);
  pipeline.times.assign(static_cast<size_t>(p * chunks_of(pipeline)), {f / parts, b / parts, w / parts});
  return pipeline;
}

double peak(const PipelineRun& run) {
  double most = 0;
  for (const RankRun& r : run.ranks) most = std::max(most, r.peak_bytes);
  return most;
}

}  // namespace

// Qi et al., arXiv 2401.10241v1: F, B, W and the time of a send from table 6 (milliseconds), bubble rates from table 5. The
// first and the last stage have a layer less, so that all take equal time: 22 layers are 24 with the vocabulary's.
TEST_CASE("the twelve pipelines of the zero-bubble paper") {
  struct Row {
    int64_t layers, p, m;
    double f, b, w, send;
    double one_f_one_b, interleaved, h1, h2;
  };
  constexpr std::array<Row, 12> rows{{
      {22, 8, 24, 18.522, 18.086, 9.337, 0.601, 0.2431, 0.1055, 0.1585, 0.1083},
      {22, 8, 32, 18.513, 18.086, 9.331, 0.626, 0.1985, 0.0818, 0.1242, 0.0837},
      {22, 8, 64, 18.546, 18.097, 9.321, 0.762, 0.1240, 0.0443, 0.0674, 0.0444},
      {30, 8, 24, 29.718, 29.444, 19.927, 0.527, 0.2347, 0.0808, 0.1323, 0.0698},
      {30, 8, 32, 29.802, 29.428, 19.530, 0.577, 0.1898, 0.0628, 0.1045, 0.0559},
      {30, 8, 64, 29.935, 29.621, 19.388, 0.535, 0.1091, 0.0320, 0.0554, 0.0294},
      {46, 16, 48, 11.347, 11.248, 8.132, 0.377, 0.2552, 0.1104, 0.1397, 0.0672},
      {46, 16, 64, 11.307, 11.254, 8.101, 0.379, 0.2082, 0.0852, 0.1088, 0.0516},
      {46, 16, 128, 11.325, 11.308, 8.109, 0.378, 0.1251, 0.0445, 0.0576, 0.0266},
      {62, 32, 96, 10.419, 10.207, 7.715, 0.408, 0.2646, 0.1493, 0.1421, 0.0641},
      {62, 32, 128, 10.408, 10.204, 7.703, 0.408, 0.2168, 0.1164, 0.1106, 0.0490},
      {62, 32, 256, 10.402, 10.248, 7.698, 0.460, 0.1352, 0.0624, 0.0594, 0.0257},
  }};
  Engine engine;
  for (const Row& row : rows) {
    CAPTURE(row.layers);
    CAPTURE(row.m);
    const auto rate = [&](ScheduleKind kind, int64_t v) {
      Pipeline pipeline = equal_stages(kind, row.p, row.m, v, row.f, row.b, row.w);
      pipeline.send_s = row.send;
      const double engine_rate = engine.run(pipeline).bubble_of_span;
      // The estimate knows of sends, and should give the same.
      const double span = estimate_pipeline(pipeline).span_s;
      const double work = static_cast<double>(row.m) * (row.f + row.b + row.w);
      CHECK(std::abs((span - work) / span - engine_rate) <= 1e-9);
      return engine_rate;
    };
    const double half_digit = 0.00005;
    CHECK(std::abs(rate(ScheduleKind::one_f_one_b, 1) - row.one_f_one_b) <= half_digit);
    CHECK(std::abs(rate(ScheduleKind::zb_h1, 1) - row.h1) <= half_digit);
    CHECK(std::abs(rate(ScheduleKind::zb_h2, 1) - row.h2) <= half_digit);
    // Theirs has p sends less on the longest chain, (2pv - 2 - p) instead of 2pv - 2.
    const int64_t v = (row.layers + 2) / row.p;
    CHECK(std::abs(rate(ScheduleKind::interleaved, v) - row.interleaved) <= 0.004);
  }
}

TEST_CASE("the published bubble of every schedule, F = B = W") {
  Engine engine;
  for (const int64_t p : {2, 4, 8, 16})
    for (const int64_t m : {2 * p, 3 * p, 8 * p}) {
      CAPTURE(p);
      CAPTURE(m);
      const auto bubble = [&](ScheduleKind kind, int64_t v) {
        const PipelineRun& run = engine.run(equal_stages(kind, p, m, v, 1, 1, 1));
        return run.span_s - 3.0 * static_cast<double>(m);
      };
      const auto gaps = static_cast<double>(p - 1);
      CHECK(bubble(ScheduleKind::gpipe, 1) == 3 * gaps);
      CHECK(bubble(ScheduleKind::one_f_one_b, 1) == 3 * gaps);
      CHECK(bubble(ScheduleKind::interleaved, 2) == 3 * gaps / 2);
      CHECK(bubble(ScheduleKind::interleaved, 4) == 3 * gaps / 4);
      CHECK(bubble(ScheduleKind::zb_h1, 1) == gaps);
      CHECK(bubble(ScheduleKind::zb_h2, 1) == 0);
      // F = W = B/2, B the full backward, and a pair takes as long as its two: (p/2 - 1)(3 + 2 - 3).
      CHECK(bubble(ScheduleKind::dualpipe, 1) == 2 * static_cast<double>(p / 2 - 1));
    }
}

TEST_CASE("closed forms are the engine's times, for equal stages of any F, B and W") {
  Engine engine;
  int64_t cases = 0;
  for (const ScheduleKind kind : all_kinds)
    for (const int64_t p : {1, 2, 3, 4, 6, 8})
      for (const int64_t m : {1, 2, 3, 5, 6, 8, 12, 16, 18, 24, 48})
        for (const int64_t v : {1, 2, 3})
          for (const double f : {1.0, 2.0, 3.0})
            for (const double b : {1.0, 2.0, 3.0})
              for (const double w : {0.0, 1.0, 2.0, 4.0}) {
                if (kind != ScheduleKind::interleaved && v > 1) continue;
                if (v > 1 && m % p != 0) continue;
                if (kind == ScheduleKind::dualpipe && (p % 2 != 0 || m % 2 != 0 || m < 2 * p)) continue;
                const Pipeline pipeline = equal_stages(kind, p, m, v, f, b, w);
                const PipelineRun& run = engine.run(pipeline);
                const ClosedForm form = closed_form(pipeline);
                ++cases;
                CAPTURE(std::string(to_string(kind)));
                CAPTURE(p);
                CAPTURE(m);
                CAPTURE(v);
                CAPTURE(f);
                CAPTURE(b);
                CAPTURE(w);
                const bool span = kind == ScheduleKind::zb_h2;  // its ranks do not start together
                const double time = span ? run.span_s : run.makespan_s;
                REQUIRE(std::abs(form.iteration_s - time) <= 1e-9 * time);
                REQUIRE(std::abs(form.bubble_of_total - (span ? run.bubble_of_span : run.bubble_of_total)) <=
                        1e-9);
                // The estimate: exact for a W that fits into the gaps, else close.
                const double bound = w <= std::min(f, b) ? 1e-9 : 0.05;
                const PipelineEstimate estimate = estimate_pipeline(pipeline);
                REQUIRE(std::abs(estimate.makespan_s - run.makespan_s) <= bound * run.makespan_s);
                REQUIRE(std::abs(estimate.span_s - run.span_s) <= bound * run.span_s);
                REQUIRE(std::abs(estimate.bubble_of_total - run.bubble_of_total) <= bound);
                if (!span) {
                  REQUIRE(std::abs(form.bubble_of_ideal - run.bubble_of_ideal) <= 1e-9);
                }
              }
  CHECK(cases > 5000);
}

TEST_CASE("DualPipe with overlapped pairs: F&B shorter than F + B") {
  Engine engine;
  for (const int64_t p : {2, 4, 8, 12})
    for (const int64_t m : {2 * p, 2 * p + 2, 6 * p})
      for (const double pair : {2.5, 2.9, 3.0}) {
        Pipeline pipeline = equal_stages(ScheduleKind::dualpipe, p, m, 1, 1, 1, 1);
        pipeline.overlapped_pair_s = pair;
        const PipelineRun& run = engine.run(pipeline);
        const double published = static_cast<double>(p / 2 - 1) * (pair + 2 - 3);
        const RankRun& middle = run.ranks[static_cast<size_t>(p / 2)];
        CHECK(std::abs(middle.idle_s - published) <= 1e-9);
        CHECK(std::abs(closed_form(pipeline).iteration_s - run.makespan_s) <= 1e-9);
      }
}

// Korthikanti et al. 2205.05198, section 4.2 (1F1B, interleaved), Qi et al. table 2, DeepSeek-V3 table 2.
TEST_CASE("peak activations, published") {
  Engine engine;
  for (const int64_t p : {2, 4, 8, 16}) {
    const int64_t m = 4 * p;
    const auto run = [&](ScheduleKind kind, int64_t v) -> const PipelineRun& {
      return engine.run(equal_stages(kind, p, m, v, 1, 1, 1));
    };
    CHECK(peak(run(ScheduleKind::gpipe, 1)) == static_cast<double>(m));
    CHECK(peak(run(ScheduleKind::one_f_one_b, 1)) == static_cast<double>(p));
    CHECK(peak(run(ScheduleKind::zb_h1, 1)) == static_cast<double>(p));
    CHECK(peak(run(ScheduleKind::zb_h2, 1)) == static_cast<double>(2 * p - 1));
    CHECK(peak(run(ScheduleKind::dualpipe, 1)) == static_cast<double>(p + 1));
    for (const int64_t v : {2, 4}) {
      // In activations of a whole stage: p (1 + (p-1)/(p v)).
      const double stage = peak(run(ScheduleKind::interleaved, v)) / static_cast<double>(v);
      const auto pd = static_cast<double>(p), vd = static_cast<double>(v);
      CHECK(std::abs(stage - pd * (1 + (pd - 1) / (pd * vd))) <= 1e-12);
    }
  }
}

TEST_CASE("peak bytes of every rank are activations and weight contexts as counted") {
  Engine engine;
  for (const ScheduleKind kind : all_kinds)
    for (const int64_t p : {1, 2, 4, 6})
      for (const int64_t m : {1, 2, 3, 6, 8, 12, 24})
        for (const int64_t v : {1, 2, 3}) {
          if (kind != ScheduleKind::interleaved && v > 1) continue;
          if (v > 1 && m % p != 0) continue;
          if (kind == ScheduleKind::dualpipe && (p % 2 != 0 || m % 2 != 0 || m < 2 * p)) continue;
          Pipeline pipeline = equal_stages(kind, p, m, v, 1, 1, 1);
          pipeline.bytes.assign(pipeline.times.size(), {1000, 1});
          const PipelineRun& run = engine.run(pipeline);
          for (int64_t s = 0; s < p; ++s) {
            const PeakInFlight held = peak_in_flight(kind, p, m, v, s);
            CAPTURE(std::string(to_string(kind)));
            CAPTURE(p);
            CAPTURE(m);
            CAPTURE(s);
            CHECK(run.ranks[static_cast<size_t>(s)].peak_bytes ==
                  static_cast<double>(1000 * held.activations + held.weight_contexts));
          }
        }
  // Qi et al., section 3: worker i (from 1) of ZB-H1 holds (p-i+1) M_B + (i-1) M_W, of ZB-H2 (2p-2i+1) M_B + (2i-2) M_W.
  const PeakInFlight h1 = peak_in_flight(ScheduleKind::zb_h1, 8, 64, 1, 2);
  CHECK(h1.activations == 6);
  CHECK(h1.weight_contexts == 2);
  const PeakInFlight h2 = peak_in_flight(ScheduleKind::zb_h2, 8, 64, 1, 2);
  CHECK(h2.activations == 11);
  CHECK(h2.weight_contexts == 4);
}

TEST_CASE("the words of a closed form") {
  const ClosedForm plain = closed_form(equal_stages(ScheduleKind::one_f_one_b, 8, 24, 1, 1, 1, 1));
  CHECK(plain.formula == "bubble = (p-1)(F+B+W)");
  CHECK(plain.with_numbers == "bubble = (8-1)(1+1+1) = 21 s");
  CHECK(plain.rate == "bubble = (8-1)/(24+8-1) = 22.6% of the iteration");
  CHECK(plain.peak == "peak in flight = min(p, m) = 8 micro-batches");
  const ClosedForm chunks = closed_form(equal_stages(ScheduleKind::interleaved, 8, 24, 3, 1, 1, 1));
  CHECK(chunks.with_numbers == "bubble = (8-1)(1+1+1)/3 = 7 s");
  CHECK(chunks.rate == "bubble = (8-1)/(3*24+8-1) = 8.9% of the iteration");
  const ClosedForm h2 = closed_form(equal_stages(ScheduleKind::zb_h2, 8, 24, 1, 2, 1, 1));
  CHECK(h2.with_numbers == "bubble = (8-1)(2+1-2*1) = 7 s");
}
