#include "ref/model/parameters.hpp"

#include <fmt/format.h>

namespace dsllm {

std::vector<ParameterInfo> parameter_layout(const ModelConfig& c) {
  c.validate();
  count_parameters(c);  // throws where an offset below would overflow
  std::vector<ParameterInfo> layout;
  int64_t offset = 0;
  const auto add = [&](std::string name, std::vector<int64_t> shape) {
    int64_t size = 1;
    for (const int64_t extent : shape) size *= extent;
    const bool decays = shape.size() == 2;
    layout.push_back({std::move(name), std::move(shape), offset, size, decays});
    offset += size;
  };
  add("model.embed_tokens.weight", {c.vocab_size, c.d_model});
  for (int64_t layer = 0; layer < c.n_layers; ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    add(prefix + "input_layernorm.weight", {c.d_model});
    add(prefix + "self_attn.q_proj.weight", {c.q_dim(), c.d_model});
    add(prefix + "self_attn.k_proj.weight", {c.kv_dim(), c.d_model});
    add(prefix + "self_attn.v_proj.weight", {c.kv_dim(), c.d_model});
    add(prefix + "self_attn.o_proj.weight", {c.d_model, c.q_dim()});
    add(prefix + "post_attention_layernorm.weight", {c.d_model});
    add(prefix + "mlp.gate_proj.weight", {c.d_ff, c.d_model});
    add(prefix + "mlp.up_proj.weight", {c.d_ff, c.d_model});
    add(prefix + "mlp.down_proj.weight", {c.d_model, c.d_ff});
  }
  add("model.norm.weight", {c.d_model});
  add("lm_head.weight", {c.vocab_size, c.d_model});
  return layout;
}

int64_t parameter_count(const std::vector<ParameterInfo>& layout) {
  return layout.empty() ? 0 : layout.back().offset + layout.back().size;
}

}  // namespace dsllm
