#include "sim/memory.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <utility>

#include "sim/schedule/engine.hpp"

using namespace dsllm::sim;

namespace {

double off(double a, double b) {
  return std::abs(a / b - 1);
}

Scenario on(const char* model, int64_t gpus, int64_t tp, int64_t pp, int64_t zero = 0) {
  Scenario s;
  s.model = find_model(model);
  s.cluster.gpus = gpus;
  s.layout.tp = tp;
  s.layout.pp = pp;
  s.layout.zero = zero;
  s.layout.sp = tp > 1;
  s.layout.global_batch = 4608;
  return checked(s);
}

Machine machine(const Scenario& s) {
  return machine_of(s.cluster, s.recipe);
}

}  // namespace

TEST_CASE("DualPipe holds two parts a rank, and divides the optimizer between the copies under ZeRO") {
  Scenario s = on("deepseek-llm-67b", 64, 8, 8);
  const auto sum = [&](double RankMemory::*item) {
    double total = 0;
    for (int64_t i = 0; i < 8; ++i) total += rank_memory(s, machine(s), i).*item;
    return total;
  };
  const double weights = sum(&RankMemory::weights), optimizer = sum(&RankMemory::optimizer);
  s.layout.schedule = ScheduleKind::dualpipe;
  CHECK(off(sum(&RankMemory::weights), 2 * weights) < 1e-14);
  CHECK(off(sum(&RankMemory::optimizer), 2 * optimizer) < 1e-14);
  s.layout.zero = 1;
  CHECK(off(sum(&RankMemory::optimizer), optimizer) < 1e-14);
  // Both directions enter somewhere: ranks 0 and 7 have embedding and head, and the rest is symmetric.
  for (int64_t i = 0; i < 8; ++i)
    CHECK(rank_memory(s, machine(s), i).total() == rank_memory(s, machine(s), 7 - i).total());
}

TEST_CASE("passes in flight: the published closed forms") {
  Layout l;
  l.dp = 1;
  l.pp = 8;
  l.global_batch = 24;
  const auto held = [&](ScheduleKind kind, int64_t stage) {
    l.schedule = kind;
    return passes_held(l, stage);
  };
  CHECK(held(ScheduleKind::gpipe, 3).activations == 24);
  for (int64_t i = 0; i < 8; ++i) {  // worker i + 1
    const double worker = static_cast<double>(i) + 1;
    CHECK(held(ScheduleKind::one_f_one_b, i).activations == 8 - i);
    CHECK(held(ScheduleKind::zb_h1, i).activations == 8 - worker + 1);
    CHECK(held(ScheduleKind::zb_h1, i).weight_contexts == worker - 1);
    CHECK(held(ScheduleKind::zb_h2, i).activations == 2 * 8 - 2 * worker + 1);
    CHECK(held(ScheduleKind::zb_h2, i).weight_contexts == 2 * worker - 2);
    CHECK(held(ScheduleKind::dualpipe, i).activations == 9);
    CHECK(in_flight_micro_batches(l, i) == 9);
  }
  l.interleave = 3;
  CHECK(off(held(ScheduleKind::interleaved, 0).activations, 8 * (1 + 7.0 / (8 * 3))) < 1e-14);
  CHECK(held(ScheduleKind::interleaved, 7).activations < 8);
  // No more than there are.
  l.interleave = 1;
  l.global_batch = 3;
  for (const ScheduleKind kind :
       {ScheduleKind::gpipe, ScheduleKind::one_f_one_b, ScheduleKind::zb_h1, ScheduleKind::zb_h2})
    for (int64_t i = 0; i < 8; ++i) {
      (void)held(kind, i);
      CHECK(in_flight_micro_batches(l, i) <= 3);
      CHECK(passes_held(l, i).weight_contexts >= 0);
    }
}

TEST_CASE("a pass whose weights wait holds their context") {
  const Scenario s = on("deepseek-llm-67b", 64, 8, 8);
  const double layers = static_cast<double>(layers_of_stage(s.model, s.layout, 3));
  const double both = rank_memory(s, machine(s), 3, PassesHeld{1, 2}).activations;
  CHECK(rank_memory(s, machine(s), 3, PassesHeld{1, 0}).activations ==
        layers * activation_bytes_per_layer(s));
  CHECK(off(both, layers * (activation_bytes_per_layer(s) + 2 * weight_context_bytes_per_layer(s))) < 1e-14);
}

TEST_CASE("passes in flight: what the engine counts when it runs the schedule") {
  for (const int64_t pp : {2, 4, 8})
    for (const int64_t batches : {1, 2, 3, 5, 8, 24, 40})
      for (const std::pair<ScheduleKind, int64_t>& choice :
           {std::pair<ScheduleKind, int64_t>{ScheduleKind::gpipe, 1},
            {ScheduleKind::one_f_one_b, 1},
            {ScheduleKind::interleaved, 2},
            {ScheduleKind::interleaved, 3},
            {ScheduleKind::zb_h1, 1},
            {ScheduleKind::zb_h2, 1},
            {ScheduleKind::dualpipe, 1}}) {
        const ScheduleKind kind = choice.first;
        const int64_t v = choice.second;
        Scenario s;
        s.model.n_layers = 24;
        s.cluster.gpus = s.layout.pp = pp;
        s.layout.schedule = kind;
        s.layout.interleave = v;
        s.layout.global_batch = batches;
        if (why_impossible(s)) continue;
        s = checked(s);
        Pipeline p;
        p.kind = kind;
        p.stages = pp;
        p.micro_batches = batches;
        p.chunks = v;
        const int64_t chunks = kind == ScheduleKind::dualpipe ? 2 : v;
        const ChunkBytes each{1.0, 0.75};
        p.times.assign(static_cast<size_t>(pp * chunks), ChunkTimes{1, 1, 1});
        p.bytes.assign(static_cast<size_t>(pp * chunks), each);
        const PipelineRun run = run_pipeline(p);
        for (int64_t i = 0; i < pp; ++i) {
          const PassesHeld held = passes_held(s.layout, i);
          // A pass of a stage is v passes of its chunks.
          const double bytes = static_cast<double>(v) * (held.activations + 0.75 * held.weight_contexts);
          CAPTURE(to_string(kind));
          CAPTURE(v);
          CAPTURE(pp);
          CAPTURE(batches);
          CAPTURE(i);
          CHECK(off(run.ranks[static_cast<size_t>(i)].peak_bytes, bytes) < 1e-12);
        }
      }
}

TEST_CASE("stage 0 of 1F1B holds a whole model's activations, however many stages there are") {
  double whole = 0;
  for (const int64_t pp : {1, 2, 4, 8}) {
    Scenario s = on("llama-3-70b", 8 * pp, 8, pp);
    s.model.vocab_size = 1;  // a head that costs nothing, so that stages are equal
    s.layout.global_batch = 64;
    // The last stage has two more tensors, in front of the head.
    const double head = pp == 1 ? 4.0 * 8192 * 8192 / 8 : 0;
    const double activations = rank_memory(s, machine(s), 0).activations - head;
    if (pp == 1) whole = activations;
    CHECK(off(activations, whole) < 1e-12);
  }
}

TEST_CASE("chunks of a pipeline add up to the stage") {
  Scenario s = on("deepseek-llm-67b", 64, 8, 8);
  s.layout.schedule = ScheduleKind::interleaved;
  s.layout.interleave = 3;
  for (int64_t i = 0; i < 8; ++i) {
    double chunks = 0;
    for (int64_t c = 0; c < 3; ++c) {
      const ChunkBytes b = chunk_bytes(s, i, c);
      CHECK(b.weight_context <= b.activation);
      CHECK(b.weight_context >= 0);
      chunks += b.activation;
    }
    const RankMemory m = rank_memory(s, machine(s), i, 1.0);
    CHECK(off(chunks, m.activations + m.logits) < 1e-14);
  }
  s.layout.interleave = 1;
  s.layout.schedule = ScheduleKind::dualpipe;
  for (int64_t i = 0; i < 8; ++i) {
    const RankMemory m = rank_memory(s, machine(s), i, 2.0);
    const double logits = i == 0 || i == 7 ? m.logits : 0;
    CHECK(off(chunk_bytes(s, i, 0).activation + chunk_bytes(s, i, 1).activation, m.activations + logits) <
          1e-14);
  }
}
