// The shape of a model (paper, section 2.2 and table 2), and its presets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ref/core/fields.hpp"
#include "ref/core/json_fwd.hpp"

namespace dsllm {

struct ModelConfig {
  int64_t n_layers = 30;
  int64_t d_model = 4096;
  int64_t n_heads = 32;
  int64_t n_kv_heads = 32;  // = n_heads: MHA; fewer: GQA; 1: MQA
  int64_t d_head = 128;
  int64_t d_ff = 11008;         // default_d_ff(d_model): 8/3 d_model, rounded up to a multiple of 256
  int64_t vocab_size = 102400;  // rows of the embedding; the tokenizer may use fewer
  int64_t seq_len = 4096;       // the longest sequence
  double rope_theta = 10000;
  double rms_eps = 1e-6;
  double init_std = 0.006;

  // Throws ConfigError naming the field, its value and the rule.
  void validate() const;

  int64_t kv_dim() const { return n_kv_heads * d_head; }
  int64_t q_dim() const { return n_heads * d_head; }
};

template <class Config, class Visit>
requires is_config<Config, ModelConfig>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"n_layers", "number of blocks", 1, 10'000}, c.n_layers);
  visit(Field{"d_model", "width of the residual stream", 1, 1 << 20}, c.d_model);
  visit(Field{"n_heads", "query heads", 1, 1 << 16}, c.n_heads);
  visit(Field{"n_kv_heads", "key and value heads", 1, 1 << 16}, c.n_kv_heads);
  visit(Field{"d_head", "width of a head", 2, 1 << 16}, c.d_head);
  visit(Field{"d_ff", "width of the feed-forward layer", 1, 1 << 24}, c.d_ff);
  visit(Field{"vocab_size", "rows of the embedding", 1, 1 << 28}, c.vocab_size);
  visit(Field{"seq_len", "longest sequence", 1, 1 << 28}, c.seq_len);
  visit(Field{"rope_theta", "base of the rotary angles", 1, 1e12}, c.rope_theta);
  visit(Field{"rms_eps", "epsilon under the root of RMSNorm", 0, 1}, c.rms_eps);
  visit(Field{"init_std", "standard deviation of the initial weights", 0, 10}, c.init_std);
}

// 8/3 d_model rounded up to a multiple of 256: 11008 for 4096, 22016 for 8192.
int64_t default_d_ff(int64_t d_model);

// deepseek-llm-7b, deepseek-llm-67b (table 2), demo (what `./run demo` trains), tiny (for tests).
std::vector<std::string> model_presets();
ModelConfig model_preset(std::string_view name);  // throws ValueError listing the names

// {"preset": "demo", "n_layers": 4}: the fields of a preset (default: deepseek-llm-7b), some of them replaced.
// d_head follows as d_model / n_heads, and d_ff as default_d_ff, where a file changes d_model or n_heads without
// naming them. Validated. Throws FileError, ConfigError.
ModelConfig model_config_from_json(const Json& json, const std::string& path);
Json model_config_to_json(const ModelConfig& config);

// Parameters of one tensor group, in the order of the forward pass.
struct ParameterCount {
  std::string name;
  int64_t per_layer = 0;  // 0 for what exists once
  int64_t total = 0;
};
// The last row is the total: 6,910,365,696 for the 7B and 67,425,001,472 for the 67B model. Throws ValueError if a
// count overflows 63 bits.
std::vector<ParameterCount> count_parameters(const ModelConfig& config);

}  // namespace dsllm
