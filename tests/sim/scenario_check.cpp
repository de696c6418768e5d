#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "ref/core/error.hpp"
#include "sim/scenario.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

// 67B on 1024 GPUs: dp = 16.
Scenario scenario() {
  Scenario s;
  s.model = find_model("deepseek-llm-67b");
  s.cluster.gpus = 1024;
  s.layout.tp = 8;
  s.layout.pp = 8;
  s.layout.global_batch = 4608;
  s.layout.zero = 1;
  s.layout.sp = true;
  return s;
}

// What checked says of the scenario after `change`, or "" if it is content. why_impossible must agree.
std::string said(const std::function<void(Scenario&)>& change) {
  Scenario s = scenario();
  change(s);
  try {
    (void)checked(s);
    CHECK(why_impossible(s) == nullptr);
    return "";
  } catch (const ConfigError& e) {
    CHECK(why_impossible(s) != nullptr);
    return e.what();
  }
}

std::string why(const std::function<void(Scenario&)>& change) {
  Scenario s = scenario();
  change(s);
  const char* text = why_impossible(s);
  return text ? text : "";
}

}  // namespace

TEST_CASE("a layout that fits: dp is filled in") {
  const Scenario s = checked(scenario());
  CHECK(s.layout.dp == 16);
  CHECK(s.layout.micro_batches() == 288);
  CHECK(said([](Scenario& x) { x.layout.dp = 16; }) == "");
  CHECK(why_impossible(scenario()) == nullptr);
}

TEST_CASE("95 layers on 8 stages, and in chunks") {
  CHECK(said([](Scenario& s) { s.layout.pp = 8; }) == "");
  CHECK(said([](Scenario& s) {
          s.layout.schedule = ScheduleKind::interleaved;
          s.layout.interleave = 3;
        }) == "");
}

TEST_CASE("the embedding and the head may have stages of their own") {
  CHECK(said([](Scenario& s) {
          s.model = find_model("gpt2-xl");
          s.model.n_layers = 22;
          s.cluster.gpus = 8;
          s.layout.tp = 1;
          s.layout.sp = false;
          s.layout.pp = 8;
          s.layout.interleave = 3;
          s.layout.schedule = ScheduleKind::interleaved;
        }) == "");
}

TEST_CASE("every rule names the field, the value, the rule and the nearest that works") {
  CHECK(said([](Scenario& s) { s.layout.tp = 7; }) ==
        "tp: expected a divisor of n_heads = 64 (nearest: 8), got 7");
  CHECK(said([](Scenario& s) { s.layout.tp = 128; }) ==
        "tp: expected a divisor of n_heads = 64 (nearest: 64), got 128");
  CHECK(said([](Scenario& s) {
          s.model.n_heads = 48;
          s.model.n_kv_heads = 6;
          s.layout.tp = 4;
        }) == "tp: expected a divisor or a multiple of n_kv_heads = 6 (nearest: 2), got 4");
  CHECK(said([](Scenario& s) { s.model.d_ff = 22020; }) ==
        "tp: expected a divisor of d_ff = 22020 (nearest: 4), got 8");
  CHECK(said([](Scenario& s) { s.layout.tp = 1; }) ==
        "sp: expected tp above 1, whose ranks divide the sequence (nearest: tp = 2), got tp = 1");
  CHECK(said([](Scenario& s) {
          s.layout.sp = false;
          s.layout.cp = 3;
        }) == "cp: expected a divisor of seq_len = 4096 (nearest: 4), got 3");
  CHECK(said([](Scenario& s) { s.model.seq_len = 4100; }) ==
        "sp: expected seq_len / cp = 4100 divisible by tp (nearest: tp = 4), got tp = 8");
  CHECK(said([](Scenario& s) { s.layout.interleave = 2; }) ==
        "interleave: expected 1 for the schedule 1f1b (only interleaved divides stages into chunks) "
        "(nearest: 1), got 2");
  CHECK(said([](Scenario& s) { s.layout.pp = 128; }) ==
        "pp: expected pp * interleave = 128 * 1 of at most n_layers + embedding + head = 97 (nearest: 64), "
        "got 128");
  CHECK(said([](Scenario& s) { s.layout.pp = 5; }) ==
        "gpus: expected a multiple of tp * pp * cp = 8 * 5 * 1 = 40 (nearest: pp = 4), got 1024");
  CHECK(said([](Scenario& s) { s.cluster.gpus = 32; }) ==
        "gpus: expected at least tp * pp * cp = 8 * 8 * 1 = 64 (nearest: pp = 4), got 32");
  CHECK(said([](Scenario& s) { s.layout.dp = 8; }) ==
        "dp: expected gpus / (tp * pp * cp) = 1024 / (8 * 8 * 1) = 16 (nearest: 16), got 8");
  CHECK(said([](Scenario& s) { s.layout.dp = 32; }).starts_with("dp: expected"));
  CHECK(said([](Scenario& s) { s.layout.global_batch = 4610; }) ==
        "global_batch: expected a multiple of dp * micro_batch = 16 * 1 = 16 (nearest: 4608), got 4610");
  CHECK(said([](Scenario& s) { s.layout.global_batch = 5; }) ==
        "global_batch: expected a multiple of dp * micro_batch = 16 * 1 = 16 (nearest: 16), got 5");
  CHECK(said([](Scenario& s) {
          s.layout.schedule = ScheduleKind::interleaved;
          s.layout.pp = 1;
        }) == "pp: expected above 1 for the schedule interleaved (nearest: 2), got 1");
  CHECK(said([](Scenario& s) {
          s.layout.schedule = ScheduleKind::interleaved;
          s.layout.global_batch = 16 * 9;
        }) ==
        "global_batch: expected micro-batches in a multiple of pp = 8 for the schedule interleaved "
        "(nearest: 128), got 144 / (16 * 1) = 9");
  CHECK(said([](Scenario& s) {
          s.layout.schedule = ScheduleKind::dualpipe;
          s.layout.pp = 1;
        }) == "pp: expected an even number of stages for the schedule dualpipe (nearest: 2), got 1");
  CHECK(said([](Scenario& s) {
          s.layout.schedule = ScheduleKind::dualpipe;
          s.layout.global_batch = 16 * 33;
        }) ==
        "global_batch: expected an even number of micro-batches for the schedule dualpipe "
        "(nearest: 544), got 528 / (16 * 1) = 33");
  CHECK(said([](Scenario& s) {
          s.layout.schedule = ScheduleKind::dualpipe;
          s.layout.global_batch = 16 * 14;
        }) ==
        "global_batch: expected at least 2 pp = 16 micro-batches for the schedule dualpipe "
        "(nearest: 256), got 224 / (16 * 1) = 14");
}

TEST_CASE("the nearest is one with which all is well, where there is one") {
  // 3 * 8 does not divide 1024, and neither do 5, 6, 7; 2 and 4 do, and the larger of two equally close is named.
  CHECK(said([](Scenario& s) { s.layout.pp = 3; }).find("(nearest: pp = 4)") != std::string::npos);
  // dp = 16 is given: then no tp mends everything, and the one that mends this rule is named.
  CHECK(said([](Scenario& s) {
          s.layout.dp = 32;
          s.layout.tp = 7;
        }) == "tp: expected a divisor of n_heads = 64 (nearest: 4), got 7");
}

TEST_CASE("models, clusters and recipes know their own rules") {
  CHECK(said([](Scenario& s) { s.model.n_kv_heads = 5; }) ==
        "n_kv_heads: expected a divisor of n_heads = 64, got 5");
  CHECK(said([](Scenario& s) { s.model.n_layers = 0; }) ==
        "n_layers: expected number of blocks from 1 to 10000, got 0");
  CHECK(said([](Scenario& s) {
          s.model.d_model = 1 << 20;
          s.model.n_heads = s.model.n_kv_heads = 1 << 16;
          s.model.d_head = 1 << 16;
          s.model.n_layers = 10'000;
        }).starts_with("n_layers: expected a model of at most 2^53"));
  CHECK(said([](Scenario& s) { s.cluster.gpu = "h900"; }).starts_with("gpu: expected one of "));
  CHECK(said([](Scenario& s) {
          s.cluster.network_bytes_per_s = -1;
        }).starts_with("network_bytes_per_s: expected"));
  CHECK(said([](Scenario& s) {
          s.cluster.flops_per_s = std::numeric_limits<double>::quiet_NaN();
        }).find("got nan") != std::string::npos);
  CHECK(said([](Scenario& s) {
          s.cluster.hbm_bytes = std::numeric_limits<double>::infinity();
        }).find("got inf") != std::string::npos);
  CHECK(said([](Scenario& s) { s.recipe.precision = "fp4"; }) ==
        "precision: expected bf16, fp16 or fp8, got 'fp4'");
  CHECK(said([](Scenario& s) { s.recipe.weight_bytes = 0; }).starts_with("weight_bytes: expected"));
  CHECK(said([](Scenario& s) { s.layout.zero = 4; }) == "zero: expected stage of ZeRO from 0 to 3, got 4");
  CHECK(said([](Scenario& s) { s.layout.tp = 0; }).starts_with("tp: expected"));
  CHECK(said([](Scenario& s) { s.layout.micro_batch = -1; }).starts_with("micro_batch: expected"));
  CHECK(said([](Scenario& s) { s.cluster.gpus = 0; }).starts_with("gpus: expected"));
}

TEST_CASE("ranks of tensor parallelism beyond the kv heads repeat them") {
  CHECK(said([](Scenario& s) { s.layout.tp = 16; }) == "");
  CHECK(why([](Scenario& s) {
          s.model.n_heads = 48;
          s.model.n_kv_heads = 6;
          s.layout.tp = 12;
        }).find("n_kv_heads") == std::string::npos);
}

TEST_CASE("ZeRO of every stage works with a pipeline") {
  for (const int64_t zero : {0, 1, 2, 3}) CHECK(said([&](Scenario& s) { s.layout.zero = zero; }) == "");
}

TEST_CASE("one GPU") {
  Scenario s;
  s.cluster.gpus = 1;
  s.layout.global_batch = 1;
  CHECK(checked(s).layout.dp == 1);
}

TEST_CASE("no layout of extreme numbers overflows") {
  const int64_t huge[] = {1,
                          2,
                          3,
                          1 << 16,
                          1 << 24,
                          1 << 30,
                          std::numeric_limits<int64_t>::max(),
                          std::numeric_limits<int64_t>::min(),
                          0,
                          -1};
  for (const int64_t tp : huge)
    for (const int64_t pp : huge)
      for (const int64_t cp : huge)
        for (const int64_t dp : huge)
          for (const int64_t batch : huge) {
            Scenario s = scenario();
            s.layout.tp = tp;
            s.layout.pp = pp;
            s.layout.cp = cp;
            s.layout.dp = dp;
            s.layout.global_batch = batch;
            s.layout.sp = false;
            // The only ones among these that can be: tp, cp and pp of 1 or 2, dp to match, and a batch that dp divides.
            const bool possible = why_impossible(s) == nullptr;
            if (possible) CHECK((tp <= 2 && pp <= 3 && cp <= 2 && batch >= 1024 / (tp * pp * cp)));
          }
}
