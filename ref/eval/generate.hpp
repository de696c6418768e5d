// Writing text: the distribution of the next token, cut and sharpened, and one draw from it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ref/core/fields.hpp"
#include "ref/core/view.hpp"
#include "ref/model/engine.hpp"

namespace dsllm {

struct SampleSettings {
  int64_t max_tokens = 256;  // of new text
  double temperature = 1;    // logits are divided by it; 0: always the likeliest token
  double top_p = 1;          // nucleus: the fewest likeliest tokens whose probabilities sum to at least this
  int64_t top_k = 0;         // only the k likeliest tokens; 0: all
  int64_t seed = 0;

  void validate() const { check_ranges(*this); }
};

template <class Config, class Visit>
requires is_config<Config, SampleSettings>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"max_tokens", "tokens to write", 0, 1 << 28}, c.max_tokens);
  visit(Field{"temperature", "divisor of the logits", 0, 1e6}, c.temperature);
  visit(Field{"top_p", "probability to keep", 0, 1}, c.top_p);
  visit(Field{"top_k", "tokens to keep", 0, 1 << 28}, c.top_k);
  visit(Field{"seed", "seed of the draws", 0, 0x1p53}, c.seed);
}

// The token that u in [0, 1) falls on: softmax(logits / temperature), cut to top_k, then to top_p (never to nothing),
// renormalized, tokens in falling order of probability, equal ones by id. logits [vocab]. Throws ValueError where every
// logit is NaN or infinite.
int32_t sample_token(View<const float, 1> logits, const SampleSettings& settings, double u);

// Continues `prompt` (at least one id) until max_tokens, a token of `stop`, or the end of the context; calls on_token with
// every new id but the stopping one, and ends early when it returns false. Returns the new ids. Draw t depends on
// (seed, t) only. Throws ValueError for an empty prompt, one with ids outside the vocabulary, or one longer than the
// context.
std::vector<int32_t> generate(TextEngine& engine, const std::vector<int32_t>& prompt,
                              const SampleSettings& settings, const std::vector<int32_t>& stop,
                              const std::function<bool(int32_t)>& on_token);

}  // namespace dsllm
