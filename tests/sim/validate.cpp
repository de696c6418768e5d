// Rows against a predictor: what empty cells leave, which layout counts, the naive model, the report.
#include "sim/validate/validate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "sim/validate/naive.hpp"
#include "tests/temporary_folder.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

const std::string header =
    "name,n_layers,d_model,n_heads,n_kv_heads,d_ff,gated,tied,vocab_size,seq_len,gpu,gpus,gpus_per_node,dp,"
    "tp,pp,cp,"
    "interleave,schedule,zero,micro_batch,global_batch,recompute,sp,precision,measured_step_time_s,"
    "measured_memory_bytes,oom\n";
// 16 layers, 64 GPUs, everything said.
const std::string full =
    "full,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,2,256,none,1,bf16,8,4e10,0\n";

Measurement row_of(const std::string& text) {
  return parse_table(header + text, "t.csv").at(0);
}

// A predictor by hand: a second for each micro-batch of a replica, and as many GB as micro_batch * 10.
Prediction by_hand(const Scenario& s) {
  const double memory = 10e9 * static_cast<double>(s.layout.micro_batch);
  return {static_cast<double>(s.layout.micro_batches()), memory, memory <= 80e9};
}

}  // namespace

TEST_CASE("choices: a row that says everything is one scenario") {
  const Choices c = choices_of(row_of(full));
  REQUIRE(c.scenarios.size() == 1);
  CHECK(c.searched.empty());
  CHECK(c.assumed.empty());
  const Scenario& s = c.scenarios[0];
  CHECK(s.model.d_head == 128);
  CHECK(s.model.gated);
  CHECK(s.cluster.gpu == "h100-sxm");
  CHECK(s.cluster.gpus == 64);
  CHECK(s.layout.dp == 8);
  CHECK(s.layout.micro_batches() == 16);
  CHECK(s.layout.zero == 1);
  CHECK(s.layout.sp);
  CHECK(s.recipe.flash_attention);
}

TEST_CASE("choices: what empty cells leave") {
  // 32 sequences a replica: 6 micro-batches that divide it.
  const Choices micro = choices_of(
      row_of("m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,,256,none,1,bf16,8,,\n"));
  CHECK(micro.scenarios.size() == 6);
  CHECK(micro.searched == std::vector<std::string>{"micro_batch"});

  // Schedule and chunks: 1F1B, and 2 or 4 chunks of 16 layers on 4 stages.
  const Choices schedule = choices_of(
      row_of("m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,,,1,2,256,none,1,bf16,8,,\n"));
  REQUIRE(schedule.scenarios.size() == 3);
  std::set<int64_t> chunks;
  for (const Scenario& s : schedule.scenarios) {
    chunks.insert(s.layout.interleave);
    CHECK((s.layout.interleave > 1) == (s.layout.schedule == ScheduleKind::interleaved));
  }
  CHECK(chunks == std::set<int64_t>{1, 2, 4});
  CHECK(schedule.searched == std::vector<std::string>{"interleave", "schedule"});

  // zero (0 and 1 with stages), recompute (3) and sp (2).
  const Choices memory = choices_of(
      row_of("m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,,2,256,,,bf16,8,,\n"));
  CHECK(memory.scenarios.size() == 12);
  CHECK(memory.searched == std::vector<std::string>{"zero", "recompute", "sp"});

  // dp follows from the others; ZeRO 0 to 2 without a pipeline; without tp there is no sp to choose.
  const Choices dp =
      choices_of(row_of("m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,,1,1,,,,,4,256,none,,,8,,\n"));
  REQUIRE(dp.scenarios.size() == 3);
  CHECK(dp.searched == std::vector<std::string>{"zero"});
  for (const Scenario& s : dp.scenarios) CHECK(s.layout.dp == 64);

  // One replica has nobody to share with.
  CHECK(choices_of(
            row_of("m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,8,8,1,2,4,1,1,1f1b,,2,256,none,1,,8,,\n"))
            .scenarios.size() == 1);

  // tp and pp: every scenario uses the 64 GPUs.
  const Choices open =
      choices_of(row_of("m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,,,,,,,,,256,,,,8,,\n"));
  CHECK(open.scenarios.size() > 1000);
  for (const Scenario& s : open.scenarios) CHECK(s.layout.dp * s.layout.tp * s.layout.pp == 64);
}

TEST_CASE("choices: what is assumed of a model") {
  const Choices c =
      choices_of(row_of("m,16,2048,16,,,,,,4096,h100-sxm,,,8,2,4,,1,1f1b,1,2,256,none,1,,8,,\n"));
  REQUIRE(c.scenarios.size() == 1);
  CHECK(c.assumed == std::vector<std::string>{"n_kv_heads = 16", "d_ff = 8192", "gated = 0", "tied = 0",
                                              "vocab_size = 51200"});
  CHECK(c.scenarios[0].cluster.gpus == 64);
  CHECK(choices_of(row_of("m,16,2048,16,,5504,,,,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,2,256,none,1,,8,,\n"))
            .scenarios.at(0)
            .model.gated);
}

TEST_CASE("choices: one form for what makes no difference") {
  // sp without tp; the interleaved schedule with 6 chunks without a pipeline.
  const Choices plain = choices_of(row_of(
      "m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,8,8,8,1,1,1,6,interleaved,0,2,256,none,1,bf16,8,,\n"));
  REQUIRE(plain.scenarios.size() == 1);
  CHECK(!plain.scenarios[0].layout.sp);
  CHECK(plain.scenarios[0].layout.interleave == 1);
  CHECK(plain.scenarios[0].layout.schedule == ScheduleKind::one_f_one_b);
  // 1F1B with 2 chunks is interleaved; interleaved with 1 chunk is 1F1B.
  const Choices two = choices_of(
      row_of("m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,2,1f1b,1,2,256,none,1,bf16,8,,\n"));
  CHECK(two.scenarios.at(0).layout.schedule == ScheduleKind::interleaved);
  const Choices one = choices_of(row_of(
      "m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,interleaved,1,2,256,none,1,bf16,8,,\n"));
  CHECK(one.scenarios.at(0).layout.schedule == ScheduleKind::one_f_one_b);
}

TEST_CASE("choices: how programs keep their numbers") {
  Measurement m = row_of(full);
  Model gpt;
  gpt.gated = false;
  CHECK(recipe_of(m, gpt).flash_attention);  // an H100
  m.gpu = "a100-sxm";
  CHECK(!recipe_of(m, gpt).flash_attention);
  CHECK(recipe_of(m, gpt).dropout);
  CHECK(!recipe_of(m, gpt).overlap_dp);
  CHECK(recipe_of(m, Model{}).flash_attention);  // gated
  m.zero = 3;
  CHECK(recipe_of(m, gpt).flash_attention);
  CHECK(recipe_of(m, gpt).overlap_dp);
  m.precision = "fp8";
  CHECK(recipe_of(m, gpt).precision == "fp8");
  // gated is assumed from d_ff, and counts.
  const Choices assumed =
      choices_of(row_of("m,16,2048,16,16,8192,,0,32000,4096,a100,64,8,8,2,4,1,1,1f1b,1,2,256,none,1,,8,,\n"));
  CHECK(!assumed.scenarios.at(0).recipe.flash_attention);
}

TEST_CASE("choices: a row that cannot be says why") {
  const auto reason = [](const std::string& text) {
    const Choices c = choices_of(row_of(text));
    CHECK(c.scenarios.empty());
    return c.reason;
  };
  CHECK(reason("m,,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,2,256,none,1,bf16,8,,\n") ==
        "n_layers is unknown");
  CHECK(reason("m,16,2048,16,16,8192,1,0,32000,4096,,64,8,8,2,4,1,1,1f1b,1,2,256,none,1,bf16,8,,\n") ==
        "gpu is unknown");
  CHECK(reason("m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,,8,,2,4,1,1,1f1b,1,2,256,none,1,bf16,8,,\n") ==
        "gpus is unknown, and so is one of dp, tp and pp");
  CHECK(
      reason("m,16,2048,15,15,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,2,256,none,1,bf16,8,,\n") ==
      "n_heads must divide d_model, got 15 and 2048");
  // The scenarios' own rules: 8 * 3 does not divide 256, 8 * 2 * 4 is not 128.
  const std::string batch =
      reason("m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,3,256,none,1,bf16,8,,\n");
  CHECK(batch.find("batch") != std::string::npos);
  const std::string gpus =
      reason("m,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,128,8,8,2,4,1,1,1f1b,1,2,256,none,1,bf16,8,,\n");
  CHECK(gpus.find("dp") != std::string::npos);
}

TEST_CASE("naive: the ideal step by hand") {
  const Scenario s = choices_of(row_of(full)).scenarios.at(0);
  // Matrices of a layer: 4 * 2048^2 + 3 * 2048 * 8192; attention 12 * 16 * 2048 * 4096; the head 2048 * 32000.
  const double matrices = 16.0 * (4.0 * 2048 * 2048 + 3.0 * 2048 * 8192);
  const double token = 6 * matrices + 12.0 * 16 * 2048 * 4096 + 6.0 * 2048 * 32000;
  const double ideal = token * 256 * 4096 / (64 * 989.5e12);
  CHECK(naive_ideal_s(s) == doctest::Approx(ideal * (1 + 3.0 / 16)));
  Scenario recomputed = s;
  recomputed.layout.recompute = Recompute::full;
  const double more = (6 * matrices + 12.0 * 16 * 2048 * 4096) * 4 / 3 + 6.0 * 2048 * 32000;
  CHECK(naive_ideal_s(recomputed) == doctest::Approx(ideal * (1 + 3.0 / 16) * more / token));
  // Weights and gradients 6, optimizer 12 / dp; 4 micro-batches of 4 layers of 34 s b d / tp.
  const double state = (matrices + 2 * 2048.0 * 32000) * (6 + 12.0 / 8) / 8;
  CHECK(naive_memory_bytes(s) == doctest::Approx(state + 34.0 / 2 * 2 * 4096 * 2048 * 4 * 4));
}

TEST_CASE("naive: the fitted efficiency has the smallest mean error") {
  const std::vector<double> ideal{1, 2, 3, 4, 5}, measured{2, 5, 5, 16, 9};
  const double e = fitted_efficiency(ideal, measured);
  const auto mean_error = [&](double efficiency) {
    double sum = 0;
    for (size_t i = 0; i < ideal.size(); ++i) sum += std::abs(ideal[i] / efficiency / measured[i] - 1);
    return sum / 5;
  };
  // Ratios 0.25 0.4 0.5 0.556 0.6; half of their sum 2.306 is passed at the fourth.
  CHECK(e == doctest::Approx(5.0 / 9));
  for (double other = 0.1; other < 1; other += 0.001) CHECK(mean_error(e) <= mean_error(other) + 1e-12);
  // Ratios 0.1 0.2 0.3 0.9 1: half of 2.5 is passed at the fourth.
  CHECK(fitted_efficiency(std::vector<double>{9, 1, 10, 3, 2}, std::vector<double>(5, 10)) ==
        doctest::Approx(0.9));
  CHECK(fitted_efficiency(std::vector<double>{1}, std::vector<double>{4}) == doctest::Approx(0.25));
  CHECK_THROWS_AS(fitted_efficiency({}, {}), ValueError);
  CHECK_THROWS_AS(fitted_efficiency(ideal, std::vector<double>{1}), ShapeError);
}

TEST_CASE("judge: the fastest layout that fits counts, median and slowest beside it") {
  // Micro-batches 1 to 32 take 32 to 1 seconds; 8 is the largest that fits.
  const std::string open =
      "open,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,,256,none,1,bf16,5,,\n";
  const Judgement j = judge(parse_table(header + open, "t.csv"), by_hand);
  REQUIRE(j.rows.size() == 1);
  const JudgedRow& row = j.rows[0];
  CHECK(row.scenarios == 6);
  CHECK(row.fitting == 4);
  CHECK(row.scenario.layout.micro_batch == 8);
  CHECK(row.predicted.step_time_s == 4);
  CHECK(row.median_s == 12);  // of 32, 16, 8 and 4
  CHECK(row.slowest_s == 32);
  CHECK(j.ours.time.count == 1);
  CHECK(j.ours.time.bias == doctest::Approx(-0.2));
  CHECK(j.naive.time.mean_absolute == doctest::Approx(0));  // one row: the fit is exact
  CHECK(j.ours.oom.ran_right == 1);                         // a run with a time did not run out
}

TEST_CASE("judge: statistics of a table, rows left out, memory and calls") {
  // Predicted 16 s and 20 GB, 4 s and 80 GB, and two that need 160 GB.
  const std::string rows =
      full +
      "b,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,8,256,none,1,bf16,5,1e11,1\n"
      "c,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,16,256,none,1,bf16,,,1\n"
      "d,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,4,16,1,1,1,1f1b,1,16,256,none,1,bf16,5,,\n"
      "e,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,3,256,none,1,bf16,5,,\n"
      "f,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,1,256,none,1,bf16,,,\n";
  const Judgement j = judge(parse_table(header + rows, "t.csv"), by_hand);
  CHECK(j.left_out == 1);
  CHECK(j.without_measurement == 1);
  CHECK(j.beyond_tp8 == 1);
  CHECK(j.ours.time.count == 3);  // 16 for 8, 4 for 5, 4 for 5
  CHECK(j.ours.time.mean_absolute == doctest::Approx((1 + 0.2 + 0.2) / 3));
  CHECK(j.ours.time.largest == 0);
  CHECK(j.ours_tp8.time.count == 2);
  CHECK(j.ours_tp8.time.mean_absolute == doctest::Approx(0.6));
  CHECK(j.ours.memory.count == 2);  // 20 for 40, 80 for 100
  CHECK(j.ours.memory.bias == doctest::Approx(-0.35));
  CHECK(j.ours.oom.ran_out == 2);
  CHECK(j.ours.oom.ran_out_right == 1);
  CHECK(j.ours.oom.ran == 2);
  CHECK(j.ours.oom.ran_right == 1);
  CHECK_THROWS_AS(judge(parse_table(header + full, "t.csv"),
                        [](const Scenario&) {
                          return Prediction{std::nan(""), 1, true};
                        }),
                  ValueError);
}

TEST_CASE("validate: text and JSON") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.csv";
  {
    std::ofstream file(path);
    file << header << full
         << "open,16,2048,16,16,8192,1,0,,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,,256,none,1,bf16,5,,\n"
            "bad,16,2048,16,16,8192,1,0,32000,4096,h100-sxm,64,8,8,2,4,1,1,1f1b,1,3,256,none,1,bf16,5,,\n";
  }
  std::ostringstream text;
  CHECK(validate_command({path, false, by_hand}, text) == 0);
  const auto has = [&](const std::string& part) {
    const bool found = text.str().find(part) != std::string::npos;
    if (!found) MESSAGE(part << "\nis missing in\n" << text.str());
    return found;
  };
  CHECK(has(path + ": 3 rows, 1 left out"));
  CHECK(has(
      "full      8.000     16.000  +100.0%        40.0       20.0   -50.0%  ran      fits     dp 8 tp 2 pp 4 "
      "1f1b"));
  CHECK(has("of 6 layouts 4 fit: fastest 4.000 s, median 12.000 s, slowest 32.000 s; searched: micro_batch"));
  CHECK(has("assumed: vocab_size = 51200"));
  CHECK(has("bad   left out (line 4): "));
  CHECK(has("step time, 2 rows"));
  CHECK(has("mean error"));
  CHECK(has("60.0%"));
  CHECK(has("ran out of memory (0)"));

  std::ostringstream json_text;
  CHECK(validate_command({path, true, by_hand}, json_text) == 0);
  const Json json = parse_json(json_text.str(), "output");
  CHECK(json["left_out"] == 1);
  CHECK(json["rows"].size() == 3);
  CHECK(json["rows"][0]["predicted_step_time_s"] == 16.0);
  CHECK(json["rows"][0]["layout"]["schedule"] == "1f1b");
  CHECK(json["rows"][1]["worst_step_time_s"] == 32.0);
  CHECK(json["rows"][1]["searched"] == Json::array({"micro_batch"}));
  CHECK(json["rows"][2]["left_out"].get<std::string>().size() > 10);
  CHECK(json["ours"]["step_time"]["rows"] == 2);
  CHECK(json["ours"]["step_time"]["mean_absolute_error"].get<double>() == doctest::Approx(0.6));
  CHECK(json["ours"]["step_time"]["largest_at"] == "full");
  CHECK(json["ours"]["out_of_memory"]["balanced"].is_null());
  CHECK_THROWS_AS(validate_command({"/nowhere/t.csv", false, by_hand}, text), FileError);
}
