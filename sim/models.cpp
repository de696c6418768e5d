// The models that a report can name. Shapes as their authors published them; tests compare the parameter counts with those
// of the published weights.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ref/core/config.hpp"
#include "ref/core/error.hpp"
#include "sim/scenario.hpp"

namespace dsllm::sim {
namespace {

struct Preset {
  const char* name;
  Model model;
};

// The paper's two models, as ref/ has them.
Model of(const ModelConfig& c) {
  Model m;
  m.n_layers = c.n_layers;
  m.d_model = c.d_model;
  m.n_heads = c.n_heads;
  m.n_kv_heads = c.n_kv_heads;
  m.d_head = c.d_head;
  m.d_ff = c.d_ff;
  m.vocab_size = c.vocab_size;
  m.seq_len = c.seq_len;
  return m;
}

Model llama(int64_t n_layers, int64_t d_model, int64_t n_heads, int64_t n_kv_heads, int64_t d_ff,
            int64_t vocab_size, int64_t seq_len) {
  Model m;
  m.n_layers = n_layers;
  m.d_model = d_model;
  m.n_heads = n_heads;
  m.n_kv_heads = n_kv_heads;
  m.d_head = d_model / n_heads;
  m.d_ff = d_ff;
  m.vocab_size = vocab_size;
  m.seq_len = seq_len;
  return m;
}

Model gpt(int64_t n_layers, int64_t d_model, int64_t n_heads, int64_t vocab_size, int64_t seq_len) {
  Model m = llama(n_layers, d_model, n_heads, n_heads, 4 * d_model, vocab_size, seq_len);
  m.gated = false;
  m.tied = true;
  return m;
}

// PaLM (arXiv 2204.02311, table 1): one kv head of 256, SwiGLU, the head is the embedding. Its two halves of a layer run
// side by side, which changes no count.
Model palm_540b() {
  Model m = llama(118, 18432, 48, 1, 73728, 256000, 2048);
  m.d_head = 256;
  m.tied = true;
  return m;
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"deepseek-llm-7b", of(model_preset("deepseek-llm-7b"))},  // arXiv 2401.02954, table 2
      {"deepseek-llm-67b", of(model_preset("deepseek-llm-67b"))},
      {"llama-65b", llama(80, 8192, 64, 64, 22016, 32000, 2048)},  // arXiv 2302.13971, table 2
      {"llama-2-7b",
       llama(32, 4096, 32, 32, 11008, 32000, 4096)},  // arXiv 2307.09288; d_ff: published config.json
      {"llama-2-13b", llama(40, 5120, 40, 40, 13824, 32000, 4096)},
      {"llama-2-70b", llama(80, 8192, 64, 8, 28672, 32000, 4096)},
      {"llama-3-8b", llama(32, 4096, 32, 8, 14336, 128256, 8192)},  // arXiv 2407.21783, table 3
      {"llama-3-70b", llama(80, 8192, 64, 8, 28672, 128256, 8192)},
      {"llama-3-405b", llama(126, 16384, 128, 8, 53248, 128256, 8192)},
      {"mistral-7b", llama(32, 4096, 32, 8, 14336, 32000, 8192)},  // arXiv 2310.06825, table 1
      {"palm-540b", palm_540b()},
      {"gpt2-xl", gpt(48, 1600, 25, 50257, 1024)},       // Radford et al. 2019, table 2
      {"gpt3-175b", gpt(96, 12288, 96, 50257, 2048)},    // arXiv 2005.14165, table 2.1
      {"megatron-22b", gpt(48, 6144, 64, 51200, 2048)},  // arXiv 2205.05198, table 3
      {"megatron-530b", gpt(105, 20480, 128, 51200, 2048)},
      {"megatron-1t", gpt(128, 25600, 160, 51200, 2048)},
  };
  return all;
}

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) names.push_back(preset.name);
  return names;
}

Model find_model(std::string_view name) {
  for (const Preset& preset : presets())
    if (name == preset.name) return preset.model;
  throw ValueError("model", fmt::format("one of {}", fmt::join(model_names(), ", ")),
                   fmt::format("'{}'", name));
}

}  // namespace dsllm::sim
