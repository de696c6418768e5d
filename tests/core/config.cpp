#include "ref/core/config.hpp"

#include <doctest/doctest.h>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"

using namespace dsllm;

static ModelConfig from(const char* text) {
  return model_config_from_json(parse_json(text, "t"), "t");
}

TEST_CASE("config: the paper's models have the published number of parameters") {
  CHECK(count_parameters(model_preset("deepseek-llm-7b")).back().total == 6'910'365'696);
  CHECK(count_parameters(model_preset("deepseek-llm-67b")).back().total == 67'425'001'472);
}

TEST_CASE("config: d_ff is 8/3 d_model rounded up to a multiple of 256") {
  CHECK(default_d_ff(4096) == 11008);
  CHECK(default_d_ff(8192) == 22016);
  CHECK(default_d_ff(96) == 256);
  CHECK(default_d_ff(97) == 512);
}

TEST_CASE("config: every preset is valid and survives writing and reading") {
  for (const std::string& name : model_presets()) {
    const ModelConfig c = model_preset(name);
    CHECK_NOTHROW(c.validate());
    const Json json = model_config_to_json(c);
    CHECK(model_config_to_json(model_config_from_json(json, "t")) == json);
  }
}

TEST_CASE("config: a file replaces fields of a preset; d_head and d_ff follow unless named") {
  const ModelConfig c = from(R"({"preset": "tiny", "d_model": 96, "n_heads": 6})");
  CHECK(c.n_layers == 2);
  CHECK(c.d_head == 16);
  CHECK(c.d_ff == 256);
  CHECK(from(R"({"preset": "tiny", "d_ff": 100})").d_ff == 100);
}

TEST_CASE("config: what is wrong is named with field, value and rule") {
  const auto error = [](const char* text, const char* message) {
    try {
      from(text);
      FAIL("accepted " << text);
    } catch (const Error& e) {
      CHECK_MESSAGE(std::string(e.what()).find(message) != std::string::npos, e.what());
    }
  };
  error(R"({"preset":"tiny","d_model":63})", "d_model: expected a multiple of n_heads = 4, got 63");
  error(R"({"preset":"tiny","n_kv_heads":3})", "n_heads: expected a multiple of n_kv_heads = 3, got 4");
  error(R"({"preset":"tiny","n_layers":0})", "n_layers: expected number of blocks from 1 to 10000, got 0");
  error(R"({"preset":"tiny","n_layer":1})", "field 'n_layer': expected one of n_layers, d_model");
  error(R"({"preset":"tiny","n_layers":"2"})", "field 'n_layers': expected a whole number");
  error(R"({"preset":"tiny","n_layers":2.5})", "field 'n_layers': expected a whole number");
  error(R"({"preset":"tiny","n_layers":1e30})", "field 'n_layers': expected a whole number");
  error(R"({"preset":"tiny","rope_theta":null})", "field 'rope_theta': expected a number");
  error(R"({"preset":"tiny","d_head":17})", "d_head: expected an even number");
  error(R"({"preset":"tiny","n_layers":1,"n_layers":2})",
        "key 'n_layers': expected one value for it, got two");
  error(R"({"preset":"huge"})", "expected one of deepseek-llm-7b, deepseek-llm-67b, demo, tiny, got 'huge'");
  error(R"([1])", "expected a JSON object");
  error(R"({"preset":"tiny")", "expected valid JSON");
}
