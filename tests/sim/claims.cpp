// Verdicts are computed: the figures are checked against the paper's and hand calculation, and a wrong model changes them.
#include "sim/claims.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "ref/core/json.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

Claim find(const std::vector<Claim>& all, const std::string& name) {
  const auto at = std::find_if(all.begin(), all.end(), [&](const Claim& c) { return c.name == name; });
  REQUIRE_MESSAGE(at != all.end(), name);
  return *at;
}

}  // namespace

TEST_CASE("every claim has its figure and its verdict") {
  struct Expected {
    const char* name;
    double computed;
    double tolerance;  // relative, half of the last digit that is known
    bool right;
  };
  // Known independently of the code: table 2 and its exact counts (6,910,365,696 and 67,425,001,472 parameters; C of
  // 8.493e22 and 8.655e23), and figures by hand from the shapes of table 2.
  const Expected expected[] = {
      {"gqa-compute", 13.4, 0.005, false},
      {"flash-attention-compute", 2, 1e-9, false},
      {"67b-training-compute", 8.655e23, 1e-4, false},
      {"67b-against-llama-2-70b", 2.3, 0.02, false},
      {"2ndl", 29.6, 0.002, false},
      {"6nd", -6.5, 0.01, false},
      {"equation-2-67b", 14.92, 0.001, false},         // 497.28 / 432.73
      {"causal-half", 4.369, 0.001, false},            // 6 * 95 * 8192 * 4096 / 437.76e9
      {"attention-dominates", 13.43, 0.001, false},    // 2.013 / 14.99
      {"context-doubles-cost", 1.0884, 0.001, false},  // 1 + 38.25 / 432.73
      {"backward-twice", 2, 1e-9, true},
      {"recompute-third", 32.9, 0.002, true},  // (139.54 - 1.68) / 418.63
      {"parameters-7B", 6.910365696, 1e-12, true},
      {"parameters-67B", 67.425001472, 1e-12, true},
      {"mlp-share-7B", 66.84, 0.001, true},  // 135266304 / 202383360
      {"mlp-share-67B", 78.18, 0.001, false},
      {"embeddings-7b", 12.14, 0.001, false},
      {"67b-fp16", 134.85, 1e-4, false},
      {"24-gb-training", 124.39, 1e-4, false},
      {"24-gb-inference", 15.83, 0.001, true},
      {"gqa-cache", 8, 1e-12, true},
      {"67b-kv-cache", 1.5938, 1e-4, false},
      {"7b-kv-cache", 2.0133, 1e-4, true},
      {"flash-attention-memory", 1, 1e-3, true},
      {"learning-rate-7B", 4.244e-4, 0.001, true},
      {"learning-rate-67B", 3.175e-4, 0.001, true},
      {"batch-7B", 2255, 0.001, false},
      {"batch-67B", 4818, 0.001, false},
      {"rate-falls-by-31.6", 68.377, 1e-4, false},
      {"chinchilla-7B", 289.4, 0.001, false},
      {"chinchilla-67B", 29.66, 0.001, false},
      {"ten-times-model", 3.342, 0.001, false},
      {"zero-1-communication", 1, 0.001, false},
      {"zero-3-communication", 1.5, 0.001, true},
  };
  const std::vector<Claim> all = claims();
  CHECK(all.size() == std::size(expected));
  for (const Expected& e : expected) {
    const Claim claim = find(all, e.name);
    CAPTURE(e.name);
    CHECK(std::abs(claim.computed / e.computed - 1) <= e.tolerance);
    CHECK(claim.right() == e.right);
    CHECK(!claim.statement.empty());
    CHECK(!claim.quantity.empty());
    CHECK(!claim.derivation.empty());
    CHECK(claim.claimed_low < claim.claimed_high);
  }
  std::set<std::string> names;
  for (const Claim& c : all) names.insert(c.name);
  CHECK(names.size() == all.size());
}

TEST_CASE("a wrong shape changes the verdicts") {
  const auto verdict = [](const ClaimModels& models, const char* name) {
    return find(claims(models), name).right();
  };
  ClaimModels mha;
  mha.large.n_kv_heads = mha.large.n_heads;
  CHECK_FALSE(verdict(mha, "gqa-cache"));
  CHECK(verdict(mha, "67b-kv-cache"));  // 12.8 GB is what 64 heads take
  CHECK(find(claims(mha), "gqa-compute").computed == 0);

  ClaimModels narrow;  // with a small MLP attention's K and V weigh more
  narrow.large.d_ff = narrow.large.d_model;
  CHECK(verdict(narrow, "gqa-compute"));
  CHECK_FALSE(verdict(narrow, "parameters-67B"));

  ClaimModels half;
  half.large.n_layers = 38;
  CHECK(verdict(half, "67b-training-compute"));  // 38 of 95 layers take 3.46e23
  CHECK_FALSE(verdict(half, "67b-against-llama-2-70b"));
  CHECK_FALSE(verdict(half, "learning-rate-67B"));

  ClaimModels larger_llama;
  larger_llama.llama.n_layers = 95;
  CHECK(verdict(larger_llama, "67b-against-llama-2-70b"));

  ClaimModels small;
  small.small.n_layers = 1;
  CHECK_FALSE(verdict(small, "parameters-7B"));
  CHECK_FALSE(verdict(small, "7b-kv-cache"));
  small.small.vocab_size = 1024;
  small.small.n_layers = 30;
  CHECK(verdict(small, "embeddings-7b"));

  ClaimModels long_context;
  long_context.small.seq_len = 32768;
  CHECK(verdict(long_context, "attention-dominates"));

  ClaimModels few;
  few.tokens = 20.0 * 67.4e9;
  CHECK(verdict(few, "chinchilla-67B"));
}

TEST_CASE("claims are printed with their derivation, and as JSON") {
  std::ostringstream text, json;
  claims_command({}, text);
  CHECK(text.str().find("WRONG  \"GQA saves the 67B model 20-30% of the compute\"") != std::string::npos);
  CHECK(text.str().find("1 - 144.24e9 / 166.56e9 = 13.4%") != std::string::npos);
  CHECK(text.str().find("34 statements: 12 right, 22 wrong") != std::string::npos);
  claims_command({true}, json);
  const Json parsed = parse_json(json.str(), "claims");
  CHECK(parsed["claims"].size() == 34);
  CHECK(parsed["right"] == 12);
  CHECK(parsed["claims"][0]["verdict"] == "wrong");
  CHECK(parsed["claims"][0]["computed"].get<double>() == doctest::Approx(13.4).epsilon(0.005));
}
