#include "ref/model/transformer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/model/attention.hpp"
#include "ref/model/cross_entropy.hpp"
#include "ref/model/embedding.hpp"
#include "ref/model/linear.hpp"
#include "ref/model/rmsnorm.hpp"
#include "ref/model/rope.hpp"
#include "ref/model/swiglu.hpp"

namespace dsllm::ref {
namespace {

// The layout of Hugging Face checkpoints, whose names and files this model shares.
constexpr RopeLayout layout = RopeLayout::halves;

// Tokens whose logits exist at the same time: [512, 102400] floats are 210 MB, those of a whole batch could be 10 GB.
constexpr int64_t head_piece = 512;

// x [batch, seq, heads, d_head] as the [batch * seq, heads * d_head] that a linear layer sees.
template <class T>
View<T, 2> flat_heads(View<T, 4> x) {
  return x.reshape(x.extent[0] * x.extent[1], x.extent[2] * x.extent[3]);
}

// y = a + b, element by element; y may be a or b.
template <class T>
void add(In<T, 2> a, In<T, 2> b, Out<T, 2> y) {
  parallel_pieces(y.size(), 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y.data[i] = a.data[i] + b.data[i];
  });
}

}  // namespace

template <class T>
BlockActivations<T>::BlockActivations(const ModelConfig& c, int64_t batch, int64_t seq)
    : x(batch * seq, c.d_model),
      attn_inv_rms(batch * seq),
      attn_in(batch * seq, c.d_model),
      q(batch, seq, c.n_heads, c.d_head),
      k(batch, seq, c.n_kv_heads, c.d_head),
      v(batch, seq, c.n_kv_heads, c.d_head),
      lse(batch, c.n_heads, seq),
      attn_out(batch, seq, c.n_heads, c.d_head),
      x_mid(batch * seq, c.d_model),
      ffn_inv_rms(batch * seq),
      ffn_in(batch * seq, c.d_model),
      gate(batch * seq, c.d_ff),
      up(batch * seq, c.d_ff),
      act(batch * seq, c.d_ff) {}

template <class T>
Activations<T>::Activations(const ModelConfig& c, int64_t batch_size, int64_t length)
    : batch(batch_size),
      seq(length),
      cos(seq, c.d_head / 2),
      sin(seq, c.d_head / 2),
      x_final(batch * seq, c.d_model),
      final_inv_rms(batch * seq),
      head_in(batch * seq, c.d_model),
      logits(std::min(batch * seq, head_piece), c.vocab_size),
      losses(batch * seq),
      dx(batch * seq, c.d_model),
      dx_branch(batch * seq, c.d_model),
      dq(batch, seq, c.n_heads, c.d_head),
      dk(batch, seq, c.n_kv_heads, c.d_head),
      dv(batch, seq, c.n_kv_heads, c.d_head),
      dgate(batch * seq, c.d_ff),
      dup(batch * seq, c.d_ff) {
  if (seq > c.seq_len)
    throw ValueError("Activations", fmt::format("sequences of at most seq_len = {} tokens", c.seq_len),
                     fmt::to_string(seq));
  rope_angles<T>(0, c.rope_theta, cos, sin);
  for (int64_t layer = 0; layer < c.n_layers; ++layer) blocks.emplace_back(c, batch, seq);
}

template <class T>
int64_t Activations<T>::bytes() const {
  int64_t elements = cos.size() + sin.size() + x_final.size() + final_inv_rms.size() + head_in.size() +
                     logits.size() + losses.size() + dx.size() + dx_branch.size() + dq.size() + dk.size() +
                     dv.size() + dgate.size() + dup.size();
  for (const BlockActivations<T>& b : blocks)
    elements += b.x.size() + b.attn_inv_rms.size() + b.attn_in.size() + b.q.size() + b.k.size() + b.v.size() +
                b.lse.size() + b.attn_out.size() + b.x_mid.size() + b.ffn_inv_rms.size() + b.ffn_in.size() +
                b.gate.size() + b.up.size() + b.act.size();
  return elements * static_cast<int64_t>(sizeof(T));
}

template <class T>
void block_forward(const ModelConfig& c, const BlockWeights<const T>& w, In<T, 2> cos, In<T, 2> sin,
                   BlockActivations<T>& a, Out<T, 2> y) {
  // x_mid = x + W_o attention(rope(W_q n), rope(W_k n), W_v n),  n = rmsnorm(x)
  rmsnorm_forward<T>(a.x, w.attn_norm, c.rms_eps, a.attn_in, a.attn_inv_rms);
  linear_forward<T>(a.attn_in, w.q, flat_heads<T>(a.q));
  linear_forward<T>(a.attn_in, w.k, flat_heads<T>(a.k));
  linear_forward<T>(a.attn_in, w.v, flat_heads<T>(a.v));
  rope_forward<T>(a.q, cos, sin, layout, a.q);
  rope_forward<T>(a.k, cos, sin, layout, a.k);
  attention_forward<T>(a.q, a.k, a.v, a.attn_out, a.lse);
  linear_forward<T>(flat_heads<T>(a.attn_out), w.o, a.x_mid);
  add<T>(a.x, a.x_mid, a.x_mid);
  // y = x_mid + W_down (silu(W_gate n) * W_up n),  n = rmsnorm(x_mid)
  rmsnorm_forward<T>(a.x_mid, w.ffn_norm, c.rms_eps, a.ffn_in, a.ffn_inv_rms);
  linear_forward<T>(a.ffn_in, w.gate, a.gate);
  linear_forward<T>(a.ffn_in, w.up, a.up);
  swiglu_forward<T>(a.gate, a.up, a.act);
  linear_forward<T>(a.act, w.down, y);
  add<T>(a.x_mid, y, y);
}

template <class T>
void block_backward(const ModelConfig&, const BlockWeights<const T>& w, In<T, 2> cos, In<T, 2> sin,
                    const BlockActivations<T>& a, Activations<T>& s, Out<T, 2> dx, const BlockWeights<T>& g) {
  // y = x_mid + W_down act: the residual passes dx on; the branch adds to it below.
  linear_backward_weight<T>(dx, a.act, g.down);
  linear_backward_input<T>(dx, w.down, s.dgate);  // d act, in the place of d gate
  swiglu_backward<T>(s.dgate, a.gate, a.up, s.dgate, s.dup);
  linear_backward_weight<T>(s.dgate, a.ffn_in, g.gate);
  linear_backward_weight<T>(s.dup, a.ffn_in, g.up);
  linear_backward_input<T>(s.dgate, w.gate, s.dx_branch);
  linear_backward_input<T>(s.dup, w.up, s.dx_branch, Write::accumulate);
  rmsnorm_backward<T>(s.dx_branch, a.x_mid, w.ffn_norm, a.ffn_inv_rms, s.dx_branch, g.ffn_norm);
  add<T>(dx, s.dx_branch, dx);
  // x_mid = x + W_o attention(...)
  const View<T, 2> dattn_out = s.dx_branch;  // n_heads * d_head = d_model
  linear_backward_weight<T>(dx, flat_heads<const T>(a.attn_out), g.o);
  linear_backward_input<T>(dx, w.o, dattn_out);
  attention_backward<T>(dattn_out.reshape(a.q.extent[0], a.q.extent[1], a.q.extent[2], a.q.extent[3]), a.q,
                        a.k, a.v, a.attn_out, a.lse, s.dq, s.dk, s.dv);
  rope_backward<T>(s.dq, cos, sin, layout, s.dq);
  rope_backward<T>(s.dk, cos, sin, layout, s.dk);
  linear_backward_weight<T>(flat_heads<T>(s.dq), a.attn_in, g.q);
  linear_backward_weight<T>(flat_heads<T>(s.dk), a.attn_in, g.k);
  linear_backward_weight<T>(flat_heads<T>(s.dv), a.attn_in, g.v);
  linear_backward_input<T>(flat_heads<T>(s.dq), w.q, s.dx_branch);
  linear_backward_input<T>(flat_heads<T>(s.dk), w.k, s.dx_branch, Write::accumulate);
  linear_backward_input<T>(flat_heads<T>(s.dv), w.v, s.dx_branch, Write::accumulate);
  rmsnorm_backward<T>(s.dx_branch, a.x, w.attn_norm, a.attn_inv_rms, s.dx_branch, g.attn_norm);
  add<T>(dx, s.dx_branch, dx);
}

namespace {

// tokens -> head_in, the input of the head.
template <class T>
void forward_to_head(const ModelConfig& c, const Weights<const T>& w, View<const int32_t, 2> tokens,
                     Activations<T>& a) {
  embedding_forward<T>(tokens.flat(), w.embedding, a.blocks.front().x);
  for (size_t layer = 0; layer < a.blocks.size(); ++layer) {
    const View<T, 2> y = layer + 1 < a.blocks.size() ? a.blocks[layer + 1].x : a.x_final;
    block_forward<T>(c, w.blocks[layer], a.cos, a.sin, a.blocks[layer], y);
  }
  rmsnorm_forward<T>(a.x_final, w.final_norm, c.rms_eps, a.head_in, a.final_inv_rms);
}

template <class T>
void check_tokens(const char* operation, View<const int32_t, 2> tokens, View<const int32_t, 2> targets,
                  const Activations<T>& a) {
  check_shape(operation, "tokens", tokens, {a.batch, a.seq});
  check_shape(operation, "targets", targets, {a.batch, a.seq});
}

// Calls f(first, count) for pieces of the n tokens whose logits fit into the buffer.
template <class T, class F>
void for_each_head_piece(const Activations<T>& a, F&& f) {
  const int64_t n = a.batch * a.seq, piece = a.logits.extent[0];
  for (int64_t first = 0; first < n; first += piece) f(first, std::min(piece, n - first));
}

template <class T>
double sum_of_losses(const Activations<T>& a) {
  return std::accumulate(a.losses.data, a.losses.data + a.losses.size(), 0.0);
}

}  // namespace

template <class T>
double transformer_loss(const ModelConfig& c, const Weights<const T>& w, View<const int32_t, 2> tokens,
                        View<const int32_t, 2> targets, Activations<T>& a) {
  check_tokens("transformer_loss", tokens, targets, a);
  forward_to_head(c, w, tokens, a);
  for_each_head_piece(a, [&](int64_t first, int64_t count) {
    linear_forward<T>(a.head_in.rows(first, count), w.head, a.logits.rows(0, count));
    cross_entropy_forward<T>(a.logits.rows(0, count), targets.flat().rows(first, count),
                             a.losses.rows(first, count));
  });
  return sum_of_losses(a);
}

template <class T>
double transformer_loss_backward(const ModelConfig& c, const Weights<const T>& w,
                                 View<const int32_t, 2> tokens, View<const int32_t, 2> targets, double scale,
                                 Activations<T>& a, const Weights<T>& g) {
  check_tokens("transformer_loss_backward", tokens, targets, a);
  forward_to_head(c, w, tokens, a);
  for_each_head_piece(a, [&](int64_t first, int64_t count) {
    const View<T, 2> logits = a.logits.rows(0, count);
    linear_forward<T>(a.head_in.rows(first, count), w.head, logits);
    cross_entropy_forward_backward<T>(logits, targets.flat().rows(first, count), scale,
                                      a.losses.rows(first, count));
    linear_backward_weight<T>(logits, a.head_in.rows(first, count),
                              g.head);  // logits hold their gradient now
    linear_backward_input<T>(logits, w.head, a.dx_branch.rows(first, count));
  });
  rmsnorm_backward<T>(a.dx_branch, a.x_final, w.final_norm, a.final_inv_rms, a.dx, g.final_norm);
  for (size_t layer = a.blocks.size(); layer-- > 0;)
    block_backward<T>(c, w.blocks[layer], a.cos, a.sin, a.blocks[layer], a, a.dx, g.blocks[layer]);
  embedding_backward<T>(tokens.flat(), a.dx, g.embedding);
  return sum_of_losses(a);
}

template <class T, class W>
void transformer_append(const ModelConfig& c, const Weights<const W>& w, View<const int32_t, 1> ids,
                        KvCache<T>& cache, Out<T, 2> logits) {
  const int64_t n = ids.extent[0], past = cache.length, m = logits.extent[0];
  check_shape("transformer_append", "logits", logits, {m, c.vocab_size});
  if (n < 1 || m > n)
    throw ShapeError("transformer_append",
                     fmt::format("at least one id, and logits of at most {} positions", n),
                     fmt::format("{} ids and {} positions", n, m));
  if (n > cache.capacity() - past)
    throw ValueError("transformer_append", fmt::format("a text of at most {} tokens", cache.capacity()),
                     fmt::to_string(past + n));
  Tensor<T, 2> x(n, c.d_model), normed(n, c.d_model), branch(n, c.d_model), gate(n, c.d_ff), up(n, c.d_ff);
  Tensor<T, 1> inv_rms(n);
  Tensor<T, 4> q(1, n, c.n_heads, c.d_head), attn_out(1, n, c.n_heads, c.d_head);
  Tensor<T, 2> cos(n, c.d_head / 2), sin(n, c.d_head / 2);
  rope_angles<T>(past, c.rope_theta, cos, sin);

  embedding_forward<T, W>(ids, w.embedding, x);
  for (int64_t layer = 0; layer < c.n_layers; ++layer) {
    const BlockWeights<const W>& b = w.blocks[static_cast<size_t>(layer)];
    const View<T, 3> keys = cache.k.row(layer), values = cache.v.row(layer);
    const View<T, 4> new_keys = keys.rows(past, n).reshape(1, n, c.n_kv_heads, c.d_head);
    const View<T, 4> new_values = values.rows(past, n).reshape(1, n, c.n_kv_heads, c.d_head);
    rmsnorm_forward<T, W>(x, b.attn_norm, c.rms_eps, normed, inv_rms);
    linear_forward<T, W>(normed, b.q, flat_heads<T>(q));
    linear_forward<T, W>(normed, b.k, flat_heads<T>(new_keys));
    linear_forward<T, W>(normed, b.v, flat_heads<T>(new_values));
    rope_forward<T>(q, cos, sin, layout, q);
    rope_forward<T>(new_keys, cos, sin, layout, new_keys);
    parallel_for(n, [&](int64_t t) {
      const int64_t length = past + t + 1;
      attention_decode<T>(q.row(0).row(t), keys.rows(0, length), values.rows(0, length),
                          attn_out.row(0).row(t));
    });
    linear_forward<T, W>(flat_heads<T>(attn_out), b.o, branch);
    add<T>(x, branch, x);
    rmsnorm_forward<T, W>(x, b.ffn_norm, c.rms_eps, normed, inv_rms);
    linear_forward<T, W>(normed, b.gate, gate);
    linear_forward<T, W>(normed, b.up, up);
    swiglu_forward<T>(gate, up, gate);
    linear_forward<T, W>(gate, b.down, branch);
    add<T>(x, branch, x);
  }
  cache.length = past + n;
  rmsnorm_forward<T, W>(x, w.final_norm, c.rms_eps, normed, inv_rms);
  if (m > 0) linear_forward<T, W>(normed.rows(n - m, m), w.head, logits);
}

#define DSLLM_INSTANTIATE(T)                                                                               \
  template struct BlockActivations<T>;                                                                     \
  template struct Activations<T>;                                                                          \
  template void block_forward<T>(const ModelConfig&, const BlockWeights<const T>&, In<T, 2>, In<T, 2>,     \
                                 BlockActivations<T>&, Out<T, 2>);                                         \
  template void block_backward<T>(const ModelConfig&, const BlockWeights<const T>&, In<T, 2>, In<T, 2>,    \
                                  const BlockActivations<T>&, Activations<T>&, Out<T, 2>,                  \
                                  const BlockWeights<T>&);                                                 \
  template double transformer_loss<T>(const ModelConfig&, const Weights<const T>&, View<const int32_t, 2>, \
                                      View<const int32_t, 2>, Activations<T>&);                            \
  template double transformer_loss_backward<T>(const ModelConfig&, const Weights<const T>&,                \
                                               View<const int32_t, 2>, View<const int32_t, 2>, double,     \
                                               Activations<T>&, const Weights<T>&);                        \
  template void transformer_append<T, T>(const ModelConfig&, const Weights<const T>&,                      \
                                         View<const int32_t, 1>, KvCache<T>&, Out<T, 2>);
DSLLM_INSTANTIATE(float)
DSLLM_INSTANTIATE(double)
template void transformer_append<float, bf16>(const ModelConfig&, const Weights<const bf16>&,
                                              View<const int32_t, 1>, KvCache<float>&, Out<float, 2>);

}  // namespace dsllm::ref
