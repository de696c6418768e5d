// The transformer of the paper (section 2.2): pre-norm blocks of grouped-query attention and SwiGLU, RoPE, RMSNorm,
// an untied head and no biases, with its gradient.
#pragma once

#include <vector>

#include "ref/core/config.hpp"
#include "ref/core/tensor.hpp"
#include "ref/model/kv_cache.hpp"
#include "ref/model/parameters.hpp"

namespace dsllm::ref {

// What one block keeps of its forward pass for its backward pass; n = batch * seq.
template <class T>
struct BlockActivations {
  Tensor<T, 2> x;              // [n, d_model]  input of the block
  Tensor<T, 1> attn_inv_rms;   // [n]
  Tensor<T, 2> attn_in;        // [n, d_model]  after the norm
  Tensor<T, 4> q, k, v;        // [batch, seq, heads, d_head]  after RoPE
  Tensor<T, 3> lse;            // [batch, n_heads, seq]
  Tensor<T, 4> attn_out;       // [batch, seq, n_heads, d_head]
  Tensor<T, 2> x_mid;          // [n, d_model]  after attention and its residual
  Tensor<T, 1> ffn_inv_rms;    // [n]
  Tensor<T, 2> ffn_in;         // [n, d_model]
  Tensor<T, 2> gate, up, act;  // [n, d_ff]     act = silu(gate) * up

  BlockActivations(const ModelConfig& config, int64_t batch, int64_t seq);
};

// Buffers of a forward and backward pass over [batch, seq] tokens.
template <class T>
struct Activations {
  int64_t batch, seq;
  Tensor<T, 2> cos, sin;  // [seq, d_head / 2]
  std::vector<BlockActivations<T>> blocks;
  Tensor<T, 2> x_final;        // [n, d_model]
  Tensor<T, 1> final_inv_rms;  // [n]
  Tensor<T, 2> head_in;        // [n, d_model]
  Tensor<T, 2> logits;         // [piece, vocab_size]: the head runs over at most `piece` tokens at a time
  Tensor<T, 1> losses;         // [n]
  // Scratch of the backward pass.
  Tensor<T, 2> dx, dx_branch;  // [n, d_model]
  Tensor<T, 4> dq, dk, dv;     // as q, k, v
  Tensor<T, 2> dgate, dup;     // [n, d_ff]

  Activations(const ModelConfig& config, int64_t batch, int64_t seq);
  int64_t bytes() const;  // of all the above, counted by hand
};

// One block: x (saved.x) -> y.   y [n, d_model] may not be saved.x.
template <class T>
void block_forward(const ModelConfig& config, const BlockWeights<const T>& weights, In<T, 2> cos,
                   In<T, 2> sin, BlockActivations<T>& saved, Out<T, 2> y);

// dx [n, d_model]: on entry the gradient of y, on return that of x. Gradients of the weights accumulate. `scratch` lends
// its backward buffers.
template <class T>
void block_backward(const ModelConfig& config, const BlockWeights<const T>& weights, In<T, 2> cos,
                    In<T, 2> sin, const BlockActivations<T>& saved, Activations<T>& scratch, Out<T, 2> dx,
                    const BlockWeights<T>& gradients);

// tokens, targets [batch, seq] -> sum of the losses in nats over the targets that are not ignored. Throws ShapeError,
// ValueError for an id outside the vocabulary.
template <class T>
double transformer_loss(const ModelConfig& config, const Weights<const T>& weights,
                        View<const int32_t, 2> tokens, View<const int32_t, 2> targets,
                        Activations<T>& activations);

// The same, and gradients += scale * d(sum) / dweights.
template <class T>
double transformer_loss_backward(const ModelConfig& config, const Weights<const T>& weights,
                                 View<const int32_t, 2> tokens, View<const int32_t, 2> targets, double scale,
                                 Activations<T>& activations, const Weights<T>& gradients);

// Appends ids [n] to the text in the cache; logits [m, vocab_size] are those of the last m <= n positions. Works for any
// n >= 1 against any cache: a whole prompt, or one token. Throws ValueError for an id outside the vocabulary or a text
// longer than the cache, with both numbers.
template <class T, class W>
void transformer_append(const ModelConfig& config, const Weights<const W>& weights,
                        View<const int32_t, 1> ids, KvCache<T>& cache, Out<T, 2> logits);

}  // namespace dsllm::ref
