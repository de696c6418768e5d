// Where every weight lies. All parameters of a model form one flat array, in the order of the forward pass; gradients
// and Adam's moments are arrays of the same layout, so that clipping and the optimizer are one loop each.
#pragma once

#include <vector>

#include "ref/core/config.hpp"
#include "ref/core/view.hpp"
#include "ref/model/engine.hpp"

namespace dsllm {

// Every tensor of the model with its Hugging Face name and its place. Throws ConfigError, ValueError (overflow).
std::vector<ParameterInfo> parameter_layout(const ModelConfig& config);
int64_t parameter_count(const std::vector<ParameterInfo>& layout);

// Views of one block's tensors. W is float, double or bf16 (const ones for weights that are only read).
template <class W>
struct BlockWeights {
  View<W, 1> attn_norm;  // [d_model]
  View<W, 2> q;          // [n_heads * d_head, d_model]
  View<W, 2> k, v;       // [n_kv_heads * d_head, d_model]
  View<W, 2> o;          // [d_model, n_heads * d_head]
  View<W, 1> ffn_norm;   // [d_model]
  View<W, 2> gate, up;   // [d_ff, d_model]
  View<W, 2> down;       // [d_model, d_ff]
};

template <class W>
struct Weights {
  View<W, 2> embedding;  // [vocab_size, d_model]
  std::vector<BlockWeights<W>> blocks;
  View<W, 1> final_norm;  // [d_model]
  View<W, 2> head;        // [vocab_size, d_model]
};

// Views into a flat array of parameter_count elements, or into tensors found elsewhere: find(p) gives the elements of p.
template <class W, class Find>
Weights<W> weights_of(const ModelConfig& config, const std::vector<ParameterInfo>& layout, const Find& find);
template <class W>
Weights<W> weights_of(const ModelConfig& config, const std::vector<ParameterInfo>& layout, View<W, 1> flat) {
  return weights_of<W>(config, layout, [&](const ParameterInfo& p) { return flat.data + p.offset; });
}

// --- implementation ---

template <class W, class Find>
Weights<W> weights_of(const ModelConfig& config, const std::vector<ParameterInfo>& layout, const Find& find) {
  size_t next = 0;
  const auto vector = [&] {
    const ParameterInfo& p = layout.at(next++);
    return View<W, 1>(find(p), {p.shape.at(0)});
  };
  const auto matrix = [&] {
    const ParameterInfo& p = layout.at(next++);
    return View<W, 2>(find(p), {p.shape.at(0), p.shape.at(1)});
  };
  // Braces evaluate from left to right: the order of the members is the order of parameter_layout.
  Weights<W> w;
  w.embedding = matrix();
  for (int64_t layer = 0; layer < config.n_layers; ++layer)
    w.blocks.push_back(BlockWeights<W>{vector(), matrix(), matrix(), matrix(), matrix(), vector(), matrix(),
                                       matrix(), matrix()});
  w.final_norm = vector();
  w.head = matrix();
  return w;
}

}  // namespace dsllm
