#include "ref/eval/generate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "ref/core/error.hpp"
#include "ref/core/tensor.hpp"

using namespace dsllm;

namespace {

// softmax: 0.1, 0.4, 0.2, 0.3
Tensor<float, 1> four() {
  Tensor<float, 1> logits(4);
  const double p[] = {0.1, 0.4, 0.2, 0.3};
  for (int i = 0; i < 4; ++i) logits(i) = static_cast<float>(std::log(p[i]));
  return logits;
}

// The share of [0, 1) that falls on each token.
std::map<int32_t, double> shares(View<const float, 1> logits, const SampleSettings& settings) {
  std::map<int32_t, double> share;
  constexpr int n = 10000;
  for (int i = 0; i < n; ++i) share[sample_token(logits, settings, (i + 0.5) / n)] += 1.0 / n;
  return share;
}

// A "model" whose next token is the last one plus one, whatever came before.
class CountingEngine : public TextEngine {
 public:
  CountingEngine() {
    config_.vocab_size = 10;
    config_.seq_len = 6;
  }
  const ModelConfig& config() const override { return config_; }
  int64_t length() const override { return length_; }
  void reset() override { length_ = 0; }
  void append(View<const int32_t, 1> ids, View<float, 1> logits) override {
    length_ += ids.extent[0];
    for (int64_t i = 0; i < 10; ++i) logits(i) = i == ids(ids.extent[0] - 1) + 1 ? 10.0f : 0.0f;
  }

 private:
  ModelConfig config_;
  int64_t length_ = 0;
};

}  // namespace

TEST_CASE("sample: each token gets its share of [0, 1), the likeliest first") {
  const Tensor<float, 1> logits = four();
  auto share = shares(logits, {});
  for (const auto& [id, p] : std::map<int32_t, double>{{0, 0.1}, {1, 0.4}, {2, 0.2}, {3, 0.3}})
    CHECK(std::abs(share[id] - p) <= 2e-4);
  CHECK(sample_token(logits, {}, 0.0) == 1);
  CHECK(sample_token(logits, {}, 0.39) == 1);
  CHECK(sample_token(logits, {}, 0.41) == 3);
  CHECK(sample_token(logits, {}, std::nextafter(1.0, 0.0)) == 0);
}

TEST_CASE("sample: temperature sharpens, and 0 takes the likeliest") {
  const Tensor<float, 1> logits = four();
  SampleSettings settings;
  settings.temperature = 0.5;  // p^2 / sum p^2
  CHECK(std::abs(shares(logits, settings)[1] - 0.16 / 0.30) <= 2e-4);
  settings.temperature = 0;
  for (const double u : {0.0, 0.5, 0.999}) CHECK(sample_token(logits, settings, u) == 1);
}

TEST_CASE("sample: top_k and top_p keep the likeliest tokens and renormalize") {
  const Tensor<float, 1> logits = four();
  SampleSettings settings;
  settings.top_k = 2;
  CHECK(std::abs(shares(logits, settings)[1] - 4.0 / 7) <= 2e-4);
  settings.top_k = 0;
  settings.top_p = 0.75;  // 0.4 + 0.3 is not enough
  auto share = shares(logits, settings);
  CHECK(share.size() == 3);
  CHECK(std::abs(share[2] - 2.0 / 9) <= 2e-4);
  settings.top_p = 0;  // never nothing
  CHECK(shares(logits, settings).size() == 1);
  settings.top_p = 0.75;
  settings.top_k = 2;  // top_p of what top_k left: 4/7 < 0.75
  CHECK(shares(logits, settings).size() == 2);
}

TEST_CASE("sample: equal logits go by id, NaN is never drawn, nothing finite is an error") {
  Tensor<float, 1> logits(3);
  CHECK(sample_token(logits, {.temperature = 0}, 0.5) == 0);
  logits(0) = NAN;
  CHECK(shares(logits, {}).count(0) == 0);
  logits(1) = logits(2) = -INFINITY;
  CHECK_THROWS_WITH_AS(sample_token(logits, {}, 0.5), "sample_token: expected a finite logit, got none",
                       ValueError);
}

TEST_CASE("generate: continues the prompt, until a stop token, the budget or the end of the context") {
  CountingEngine engine;
  std::vector<int32_t> seen;
  const auto keep = [&](int32_t id) {
    seen.push_back(id);
    return true;
  };
  const SampleSettings greedy{.max_tokens = 3, .temperature = 0};
  CHECK(generate(engine, {1, 2}, greedy, {}, keep) == std::vector<int32_t>{3, 4, 5});
  CHECK(seen == std::vector<int32_t>{3, 4, 5});
  engine.reset();
  CHECK(generate(engine, {1}, greedy, {3}, keep) == std::vector<int32_t>{2});
  engine.reset();
  CHECK(generate(engine, {1}, {.max_tokens = 100, .temperature = 0}, {}, keep).size() == 6);
  CHECK(engine.length() == 6);
  engine.reset();
  CHECK(generate(engine, {1}, greedy, {}, [](int32_t) { return false; }).size() == 1);
}

TEST_CASE("generate: the seed decides the draws; bad settings are named") {
  CountingEngine engine;
  const auto draw = [&](int64_t seed) {
    engine.reset();
    return generate(engine, {1}, {.max_tokens = 5, .temperature = 100, .seed = seed}, {},
                    [](int32_t) { return true; });
  };
  CHECK(draw(1) == draw(1));
  CHECK(draw(1) != draw(2));
  CHECK_THROWS_AS(generate(engine, {}, {}, {}, {}), ValueError);
  CHECK_THROWS_WITH_AS(generate(engine, {1}, {.top_p = 1.5}, {}, {}),
                       "top_p: expected probability to keep from 0 to 1, got 1.5", ConfigError);
}
