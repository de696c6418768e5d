#include "ref/core/config.hpp"

#include <fmt/ranges.h>

#include "ref/core/error.hpp"
#include "ref/core/fields_json.hpp"

namespace dsllm {
namespace {

struct Preset {
  const char* name;
  ModelConfig config;
};

ModelConfig shape(int64_t n_layers, int64_t d_model, int64_t n_heads, int64_t n_kv_heads, int64_t vocab_size,
                  int64_t seq_len) {
  ModelConfig c;
  c.n_layers = n_layers;
  c.d_model = d_model;
  c.n_heads = n_heads;
  c.n_kv_heads = n_kv_heads;
  c.d_head = d_model / n_heads;
  c.d_ff = default_d_ff(d_model);
  c.vocab_size = vocab_size;
  c.seq_len = seq_len;
  return c;
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"deepseek-llm-7b", shape(30, 4096, 32, 32, 102400, 4096)},
      {"deepseek-llm-67b", shape(95, 8192, 64, 8, 102400, 4096)},
      {"demo", shape(4, 128, 4, 2, 2048, 256)},
      {"tiny", shape(2, 64, 4, 2, 512, 64)},
  };
  return all;
}

}  // namespace

int64_t default_d_ff(int64_t d_model) {
  return (8 * d_model + 3 * 256 - 1) / (3 * 256) * 256;
}

void ModelConfig::validate() const {
  check_ranges(*this);
  if (d_head % 2 != 0)
    throw ConfigError("d_head", "an even number (RoPE rotates pairs)", fmt::to_string(d_head));
  if (n_heads * d_head != d_model)
    throw ConfigError("d_model",
                      fmt::format("n_heads * d_head = {} * {} = {}", n_heads, d_head, n_heads * d_head),
                      fmt::to_string(d_model));
  if (n_heads % n_kv_heads != 0)
    throw ConfigError("n_heads", fmt::format("a multiple of n_kv_heads = {}", n_kv_heads),
                      fmt::to_string(n_heads));
}

std::vector<std::string> model_presets() {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) names.push_back(preset.name);
  return names;
}

ModelConfig model_preset(std::string_view name) {
  for (const Preset& preset : presets())
    if (name == preset.name) return preset.config;
  throw ValueError("model preset", fmt::format("one of {}", fmt::join(model_presets(), ", ")),
                   fmt::format("'{}'", name));
}

ModelConfig model_config_from_json(const Json& json, const std::string& path) {
  if (!json.is_object()) throw FileError(path, "", "a JSON object", json.dump().substr(0, 60));
  Json fields = json;
  ModelConfig config;
  if (const auto it = fields.find("preset"); it != fields.end()) {
    if (!it->is_string()) throw FileError(path, "field 'preset'", "a string", it->dump().substr(0, 60));
    config = model_preset(it->get<std::string>());
    fields.erase(it);
  }
  const ModelConfig before = config;
  read_fields(fields, config, path);
  check_ranges(config);
  if (!fields.contains("d_head") && (config.d_model != before.d_model || config.n_heads != before.n_heads)) {
    if (config.d_model % config.n_heads != 0)
      throw ConfigError("d_model", fmt::format("a multiple of n_heads = {}", config.n_heads),
                        fmt::to_string(config.d_model));
    config.d_head = config.d_model / config.n_heads;
  }
  if (!fields.contains("d_ff") && config.d_model != before.d_model)
    config.d_ff = default_d_ff(config.d_model);
  config.validate();
  return config;
}

Json model_config_to_json(const ModelConfig& config) {
  return fields_to_json(config);
}

std::vector<ParameterCount> count_parameters(const ModelConfig& c) {
  const auto product = [](int64_t a, int64_t b) {
    int64_t p = 0;
    if (__builtin_mul_overflow(a, b, &p))
      throw ValueError("count_parameters", "a count below 2^63", "overflow");
    return p;
  };
  std::vector<ParameterCount> rows;
  const auto once = [&](const char* name, int64_t n) { rows.push_back({name, 0, n}); };
  const auto each_layer = [&](const char* name, int64_t n) {
    rows.push_back({name, n, product(n, c.n_layers)});
  };
  once("embedding", product(c.vocab_size, c.d_model));
  each_layer("attention norm", c.d_model);
  each_layer("attention q", product(c.q_dim(), c.d_model));
  each_layer("attention k, v", product(2 * c.kv_dim(), c.d_model));
  each_layer("attention output", product(c.d_model, c.q_dim()));
  each_layer("feed-forward norm", c.d_model);
  each_layer("feed-forward gate, up", product(2 * c.d_ff, c.d_model));
  each_layer("feed-forward down", product(c.d_model, c.d_ff));
  once("final norm", c.d_model);
  once("head", product(c.d_model, c.vocab_size));
  ParameterCount total{"total", 0, 0};
  for (const ParameterCount& row : rows)
    if (__builtin_add_overflow(total.total, row.total, &total.total))
      throw ValueError("count_parameters", "a count below 2^63", "overflow");
  rows.push_back(total);
  return rows;
}

}  // namespace dsllm
