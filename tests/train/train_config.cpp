#include "ref/train/train_config.hpp"

#include <doctest/doctest.h>

#include <string>

#include "ref/core/fields_json.hpp"

using namespace dsllm;

static TrainConfig from(const char* text) {
  return train_config_from_json(parse_json(text, "t"), "t");
}

TEST_CASE("train_config: survives writing and reading, stages included") {
  const TrainConfig c = from(R"({"tokens": 1000000, "warmup_steps": 7, "stages": [[0.5, 0.25]], "seed": 9})");
  CHECK(c.stages == std::vector<ref::LrStage>{{0.5, 0.25}});
  const Json json = train_config_to_json(c);
  CHECK(train_config_to_json(train_config_from_json(json, "t")) == json);
  CHECK(json.at("seed") == 9);
  CHECK(json.at("stages") == Json::array({Json::array({0.5, 0.25})}));
}

TEST_CASE("train_config: the paper's rates are the defaults") {
  const TrainConfig c;
  CHECK(c.beta1 == 0.9);
  CHECK(c.beta2 == 0.95);
  CHECK(c.weight_decay == 0.1);
  CHECK(c.clip == 1);
  CHECK(c.warmup_steps == 2000);
  CHECK(c.stages == ref::paper_stages());
}

TEST_CASE("train_config: a budget is a whole number of steps, rounded up") {
  TrainConfig c;
  c.batch = 4, c.seq_len = 8;
  c.tokens = 320;
  CHECK(c.total_steps() == 10);
  c.tokens = 321;
  CHECK(c.total_steps() == 11);
  c.tokens = 1;
  CHECK(c.total_steps() == 1);
}

TEST_CASE("train_config: what is wrong is named with field, value and rule") {
  const auto error = [](const char* text, const char* message) {
    try {
      run_config_from_json(parse_json(text, "t"), "t");
      FAIL("accepted " << text);
    } catch (const Error& e) {
      CHECK_MESSAGE(std::string(e.what()).find(message) != std::string::npos, std::string(e.what()));
    }
  };
  const auto train_error = [&](const std::string& fields, const char* message) {
    error((R"({"model":{"preset":"demo"},"train":{"warmup_steps":1,)" + fields + "}}").c_str(), message);
  };
  train_error(R"("batch":6,"micro_batch":4)", "batch: expected a multiple of micro_batch = 4, got 6");
  train_error(R"("tokens":0)", "tokens: expected training tokens from 1");
  train_error(R"("lr":-1)", "lr: expected maximum learning rate from 0 to 10, got -1");
  train_error(R"("beta1":1)", "beta1: expected");
  train_error(R"("schedule":"step")", "schedule: expected multi-step or cosine, got 'step'");
  train_error(R"("stages":0.8)", "field 'stages': expected pairs");
  train_error(R"("stages":[[0.8]])", "field 'stages': expected pairs");
  train_error(R"("stages":[[0.8,"x"]])", "field 'stages': expected pairs");
  train_error(R"("stages":[[1.5,1]])", "stages: expected a fraction between 0 and 1, got 1.5");
  train_error(R"("learning_rate":1)", "field 'learning_rate': expected one of tokens");
  train_error(R"("seq_len":512)", "train.seq_len: expected at most the model's 256, got 512");
  train_error(R"("warmup_steps_":1)", "unknown field");
  error(R"({"model":{"preset":"demo"},"train":{"tokens":100000}})", "warmup_steps: expected at most");
  error(R"({"model":{"preset":"demo"}})", "expected an object 'train'");
  error(R"({"model":{"preset":"demo"},"train":{"warmup_steps":1},"data":{}})",
        "field 'data': expected model or train");
}

TEST_CASE(
    "train_config: a continued run may differ in its reports, and in its budget where that is asked for") {
  TrainConfig saved, other;
  other.log_every = other.eval_every = other.checkpoint_every = 77;
  other.keep = 5;
  CHECK_NOTHROW(check_continues(saved, other, false));
  other.tokens *= 2;
  CHECK_THROWS_WITH_AS(check_continues(saved, other, false),
                       "tokens: expected 20000000, as in the checkpoint, got 40000000", ConfigError);
  other.stages = {};
  CHECK_NOTHROW(check_continues(saved, other, true));
  for (int field = 0; field < 5; ++field) {
    TrainConfig c = saved;
    if (field == 0) c.lr = 0.5;
    if (field == 1) c.seed = 1;
    if (field == 2) c.micro_batch = 8;
    if (field == 3) c.warmup_steps = 10;
    if (field == 4) c.beta2 = 0.99;
    CHECK_THROWS_AS(check_continues(saved, c, true), ConfigError);
  }
}
