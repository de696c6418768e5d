// Scenario files: what is written comes back, and what is wrong is named.
#include <doctest/doctest.h>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "sim/scenario.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

Scenario read(const char* text) {
  return scenario_from_json(parse_json(text, "s.json"), "s.json");
}

// The text of the error that reading throws.
std::string error_of(const char* text) {
  try {
    read(text);
  } catch (const std::exception& e) {
    return e.what();
  }
  return "no error";
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("scenario: written and read, every field comes back") {
  Scenario s;
  s.model.n_layers = 95;
  s.model.gated = false;
  s.model.tied = true;
  s.cluster.gpu = "a100-80gb";
  s.cluster.gpus = 512;
  s.cluster.network_bytes_per_s = 2.5e10;
  s.layout.dp = 3;
  s.layout.schedule = ScheduleKind::zb_h2;
  s.layout.recompute = Recompute::selective;
  s.layout.sp = true;
  s.layout.global_batch = 4608;
  s.recipe.precision = "fp8";
  s.recipe.overlap_tp = true;
  s.recipe.gradient_bytes = 0;
  const Json json = scenario_to_json(s);
  const Scenario back = scenario_from_json(parse_json(json.dump(2), "s.json"), "s.json");
  CHECK(scenario_to_json(back) == json);
  CHECK(back.model.n_layers == 95);
  CHECK_FALSE(back.model.gated);
  CHECK(back.model.tied);
  CHECK(back.cluster.gpu == "a100-80gb");
  CHECK(back.cluster.network_bytes_per_s == 2.5e10);
  CHECK(back.layout.dp == 3);
  CHECK(back.layout.schedule == ScheduleKind::zb_h2);
  CHECK(back.layout.recompute == Recompute::selective);
  CHECK(back.layout.sp);
  CHECK(back.layout.global_batch == 4608);
  CHECK(back.recipe.precision == "fp8");
  CHECK(back.recipe.overlap_tp);
  CHECK(back.recipe.gradient_bytes == 0);
  // Nothing is written that reading leaves out: every section's values differ from the defaults' in s.
  CHECK(json != scenario_to_json(Scenario{}));
  CHECK(json["dsllm-sim"] == 1);
}

TEST_CASE("scenario: what a file leaves out keeps its default; a model by name, or a preset with changes") {
  CHECK(scenario_to_json(read(R"({"dsllm-sim": 1})")) == scenario_to_json(Scenario{}));
  CHECK(read(R"({"dsllm-sim": 1, "model": "deepseek-llm-67b"})").model.n_layers == 95);
  const Model m =
      read(R"({"dsllm-sim": 1, "model": {"preset": "deepseek-llm-67b", "n_kv_heads": 64}})").model;
  CHECK(m.n_layers == 95);
  CHECK(m.n_kv_heads == 64);
  CHECK(m.d_head == 128);
  const Model wide = read(R"({"dsllm-sim": 1, "model": {"d_model": 8192}})").model;
  CHECK(wide.d_head == 256);
  CHECK(wide.d_ff == 22016);
  CHECK(read(R"({"dsllm-sim": 1, "model": {"gated": false}})").model.d_ff == 16384);
  CHECK(read(R"({"dsllm-sim": 1, "layout": {"tp": 4.0}})").layout.tp == 4);
}

TEST_CASE("scenario: what is wrong in a file is named") {
  CHECK(contains(error_of("{}"),
                 "s.json: expected a scenario, with \"dsllm-sim\": 1, got no field 'dsllm-sim'"));
  CHECK(contains(error_of(R"({"dsllm-sim": 2})"),
                 "s.json: field 'dsllm-sim': expected version 1 of this format, got 2"));
  CHECK(contains(error_of(R"({"dsllm-sim": "1"})"), "got \"1\""));
  CHECK(contains(error_of("[]"), "a JSON object"));
  CHECK(contains(error_of(R"({"dsllm-sim": 1, "modell": {}})"), "field 'modell'"));
  CHECK(contains(error_of(R"({"dsllm-sim": 1, "layout": {"tpp": 8}})"), "field 'tpp'"));
  CHECK(contains(error_of(R"({"dsllm-sim": 1, "layout": {"tp": 2.5}})"), "a whole number"));
  CHECK(contains(error_of(R"({"dsllm-sim": 1, "layout": {"tp": 0}})"), "tp: expected"));
  CHECK(contains(error_of(R"({"dsllm-sim": 1, "layout": {"schedule": "2f2b"}})"), "1f1b"));
  CHECK(contains(error_of(R"({"dsllm-sim": 1, "cluster": {"network_bytes_per_s": -1}})"),
                 "network_bytes_per_s: expected"));
  CHECK(contains(error_of(R"({"dsllm-sim": 1, "model": 67})"), "field 'model'"));
  CHECK(contains(error_of(R"({"dsllm-sim": 1, "model": {"preset": 67}})"), "field 'model.preset'"));
  CHECK(contains(error_of(R"({"dsllm-sim": 1, "model": "no-such"})"), "deepseek-llm-67b"));
  CHECK(contains(error_of(R"({"dsllm-sim": 1, "model": {"d_model": 4097}})"), "a multiple of n_heads = 32"));
  CHECK(contains(error_of(R"({"dsllm-sim": 1, "dsllm-sim": 1})"), "s.json"));
}
