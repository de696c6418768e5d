// Small models for the tests of the transformer.
#pragma once

#include "ref/model/parameters.hpp"
#include "tests/model/support.hpp"

namespace dsllm::tests {

// A config, its flat array of weights, and views of it.
template <class W>
struct Model {
  ModelConfig config;
  std::vector<ParameterInfo> layout;
  Tensor<W, 1> flat;

  explicit Model(const ModelConfig& c)
      : config(c), layout(parameter_layout(c)), flat(parameter_count(layout)) {}
  // Drawn from N(0, init_std^2), gains 1.
  Model(const ModelConfig& c, uint64_t seed) : Model(c) {
    fill(flat, seed, c.init_std);
    for (const ParameterInfo& p : layout)
      if (!p.decays) std::fill_n(flat.data + p.offset, p.size, W(1));
  }
  Weights<const W> weights() const { return weights_of<const W>(config, layout, View<const W, 1>(flat)); }
  Weights<W> views(const Tensor<W, 1>& other) const {
    return weights_of<W>(config, layout, View<W, 1>(other));
  }
};

// The model of tests/golden/model/tiny: 2 layers, 4 query and 2 key heads, weights of std 0.2.
template <class W>
Model<W> golden_model() {
  ModelConfig c;
  c.n_layers = 2;
  c.d_model = 24;
  c.n_heads = 4;
  c.n_kv_heads = 2;
  c.d_head = 6;
  c.d_ff = 40;
  c.vocab_size = 67;
  c.seq_len = 32;
  Model<W> model(c);
  const SafetensorsFile file(DSLLM_SOURCE_DIR "/tests/golden/model/tiny/model.safetensors");
  for (const ParameterInfo& p : model.layout)
    file.read_as(p.name, std::span<W>(model.flat.data + p.offset, static_cast<size_t>(p.size)));
  return model;
}

// Random tokens; the targets are the tokens that follow, the last one of each row and one more ignored.
struct Batch {
  Tensor<int32_t, 2> tokens, targets;
  double counted = 0;  // targets that are not ignored

  Batch(const ModelConfig& c, int64_t batch, int64_t seq) : tokens(batch, seq), targets(batch, seq) {
    Draw draw(5, Style::normal);
    for (int64_t i = 0; i < tokens.size(); ++i)
      tokens.data[i] = static_cast<int32_t>(draw.integer(0, c.vocab_size - 1));
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t t = 0; t < seq; ++t) {
        const bool ignored = t == seq - 1 || (b == 0 && t == 1);
        targets(b, t) = ignored ? -1 : tokens(b, t + 1);
        counted += ignored ? 0 : 1;
      }
  }
};

}  // namespace dsllm::tests
