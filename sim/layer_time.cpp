#include "sim/layer_time.hpp"

#include <algorithm>

namespace dsllm::sim {

namespace {

// Sizes of one block on one rank; everything in elements.
struct Sizes {
  double tokens;      // of the micro-batch, on this context-parallel rank
  double d, q, kv;    // widths; heads and d_ff are divided by tp already
  double f, gates;    // gates: matrices that read the input, 2 of SwiGLU, 1 of an MLP
  double sharded;     // tokens of the parts outside of tp: divided by tp under sequence parallelism
  double core_flops;  // scores and values, forward
  double pairs;       // scores, heads * queries * keys on this rank
};

Sizes sizes_of(const Scenario& s) {
  const Model& m = s.model;
  const Layout& l = s.layout;
  const double tp = static_cast<double>(l.tp);
  Sizes z;
  z.tokens = static_cast<double>(l.micro_batch * m.seq_len) / static_cast<double>(l.cp);
  z.d = static_cast<double>(m.d_model);
  z.q = static_cast<double>(m.q_dim()) / tp;
  z.kv = static_cast<double>(std::max(m.kv_dim() / l.tp, m.d_head));  // replicated past n_kv_heads
  z.f = static_cast<double>(m.d_ff) / tp;
  z.gates = m.gated ? 2 : 1;
  z.sharded = l.sp ? z.tokens / tp : z.tokens;
  // A causal kernel computes half of the square; a plain one all of it.
  const double keys = static_cast<double>(m.seq_len) * (s.recipe.flash_attention ? 0.5 : 1);
  z.core_flops = 4 * z.tokens * keys * z.q;
  z.pairs = z.tokens * static_cast<double>(m.seq_len) * static_cast<double>(m.n_heads) / tp;
  return z;
}

// Pieces that a matrix product is cut into where it overlaps with its collective.
constexpr int pieces = 4;

class Block {
 public:
  Block(const Rates& rates, const Scenario& s)
      : rates_(rates), s_(s), z_(sizes_of(s)), tp_(tp_group(rates.machine, s.layout)) {
    const double bytes = 2 * z_.tokens * z_.d;
    gather_s_ = all_gather_s(rates, tp_, bytes);
    reduce_s_ = s.layout.sp ? gather_s_ : all_reduce_s(rates, tp_, bytes);
    if (s.layout.cp > 1) {
      // Keys and values of the other ranks; in the backward pass also their gradients.
      ring_s_ = all_gather_s(rates, cp_group(rates.machine, s.layout),
                             2 * 2 * z_.kv * z_.tokens * static_cast<double>(s.layout.cp));
    }
    qkv_s_ = gemm_s(rates, z_.tokens, z_.q + 2 * z_.kv, z_.d);
    out_s_ = gemm_s(rates, z_.tokens, z_.d, z_.q);
    up_s_ = gemm_s(rates, z_.tokens, z_.gates * z_.f, z_.d);
    down_s_ = gemm_s(rates, z_.tokens, z_.d, z_.f);
    core_s_ = core_forward();
    const double passes = s.recipe.eager ? rates.constants.elementwise_passes : 1;
    norm_s_ = memory_s(rates, passes * 2 * 2 * z_.sharded * z_.d);
    residual_s_ = memory_s(rates, 3 * 2 * z_.sharded * z_.d);
    rope_s_ = s.model.gated ? memory_s(rates, passes * 2 * 2 * z_.tokens * (z_.q + z_.kv)) : 0;
    act_s_ = memory_s(rates, passes * 2 * (z_.gates + 1) * z_.tokens * z_.f);
  }

  LayerTime time() const {
    LayerTime t;
    TwoStreams f;
    forward(f);
    t.forward_s = f.end();
    const double alone_s =
        2 * norm_s_ + 2 * residual_s_ + qkv_s_ + rope_s_ + core_s_ + out_s_ + up_s_ + act_s_ + down_s_;
    t.tp_forward_s = s_.layout.tp > 1 ? 2 * reduce_s_ + (s_.layout.sp ? 2 * gather_s_ : 0) : 0;
    t.tp_forward_s += ring_s_;
    t.tp_exposed_forward_s = t.forward_s - alone_s;
    switch (s_.layout.recompute) {
      case Recompute::none:
        break;
      case Recompute::selective:
        t.recompute_s = core_s_;
        break;
      case Recompute::full:
        t.recompute_s = t.forward_s;
        break;
    }
    t.tp_backward_s = 2 * (t.tp_forward_s - ring_s_) + 2 * ring_s_;
    TwoStreams fused, split;
    backward(fused, true);
    backward(split, false);
    t.backward_weight_s = weights_s();
    t.backward_s = t.recompute_s + fused.end();
    t.backward_input_s = t.recompute_s + split.end();
    // Kernels are launched one by one: what the processor needs for a pass is its least time.
    const double host_s = host_forward_s();
    const double again_s = s_.layout.recompute == Recompute::full ? host_s : 0;
    t.forward_s = std::max(t.forward_s, host_s);
    t.backward_s = std::max(t.backward_s, 2 * host_s + again_s);
    t.backward_input_s = std::max(t.backward_input_s, host_s + again_s);
    t.backward_weight_s = std::max(t.backward_weight_s, host_s);
    return t;
  }

 private:
  double core_forward() const {
    double seconds = attention_s(rates_, z_.core_flops);
    // Scores and probabilities through memory: written by the product, read and written by the softmax, read again.
    if (!s_.recipe.flash_attention) seconds += memory_s(rates_, 4 * 2 * z_.pairs);
    return seconds;
  }
  double core_backward() const {
    double seconds = rates_.constants.attention_backward * attention_s(rates_, z_.core_flops);
    if (!s_.recipe.flash_attention) seconds += memory_s(rates_, 6 * 2 * z_.pairs);
    return seconds;
  }
  // A third of a layer's launches; the rest are the backward pass's.
  double host_forward_s() const {
    if (!s_.recipe.eager) return 0;
    const Constants& c = rates_.constants;
    const double collectives = s_.layout.tp > 1 ? (s_.layout.sp ? 10 : 4) : 0;
    double each_s = c.host_collective_s;
    if (s_.layout.pp > 1 && !stages_share_a_node(rates_.machine, s_.layout))
      each_s += c.host_far_rank_s * static_cast<double>(s_.layout.tp);
    return (c.host_layer_s + collectives * each_s) / 3;
  }
  double weights_s() const { return qkv_s_ + out_s_ + up_s_ + down_s_; }

  // An all-reduce has no pieces that the next product could begin with.
  bool overlaps() const { return s_.recipe.overlap_tp && s_.layout.sp; }

  // y = W gather(x): piecewise where the program overlaps. Returns when y is there.
  double gather_then(TwoStreams& t, double gather_s, double gemm_s, double after) const {
    if (!(gather_s > 0)) return t.compute(gemm_s, after);
    const int n = overlaps() ? pieces : 1;
    double end = after;
    for (int i = 0; i < n; ++i) end = t.compute(gemm_s / n, t.network(gather_s / n, after));
    return end;
  }
  // y = reduce(W x).
  double then_reduce(TwoStreams& t, double gemm_s, double reduce_s, double after) const {
    const int n = reduce_s > 0 && overlaps() ? pieces : 1;
    double end = after;
    for (int i = 0; i < n; ++i) {
      end = t.compute(gemm_s / n, after);
      if (reduce_s > 0) end = t.network(reduce_s / n, end);
    }
    return end;
  }

  // x -> norm -> (gather) qkv -> rope -> attention -> out (reduce) -> + x -> norm -> (gather) up -> act -> down (reduce) -> +
  void forward(TwoStreams& t) const {
    const double gather = s_.layout.sp ? gather_s_ : 0;
    const double reduce = s_.layout.tp > 1 ? reduce_s_ : 0;
    double at = t.compute(norm_s_);
    at = gather_then(t, gather, qkv_s_, at);
    at = t.compute(rope_s_, at);
    if (ring_s_ > 0) at = t.network(ring_s_, at);
    at = t.compute(core_s_, at);
    at = then_reduce(t, out_s_, reduce, at);
    at = t.compute(residual_s_, at);
    at = t.compute(norm_s_, at);
    at = gather_then(t, gather, up_s_, at);
    at = t.compute(act_s_, at);
    at = then_reduce(t, down_s_, reduce, at);
    t.compute(residual_s_, at);
  }

  // The same backwards: the gradient of a reduction is a gather (of an all-reduce: nothing), of a gather a reduction. With
  // weights, their product runs while the input's gradient is reduced, and (sp) the input is gathered once more for it.
  void backward(TwoStreams& t, bool with_weights) const {
    const double gather = s_.layout.sp ? gather_s_ : 0;
    const double reduce = s_.layout.tp > 1 ? reduce_s_ : 0;
    double at = gather_then(t, gather, down_s_, 0);
    if (with_weights) t.compute(down_s_, at);
    at = t.compute(backward_bytes(act_s_), at);
    if (gather > 0 && with_weights) t.network(gather, at);
    at = t.compute(up_s_, at);
    double reduced = reduce > 0 ? t.network(reduce, at) : at;
    if (with_weights) t.compute(up_s_, at);
    at = t.compute(backward_bytes(norm_s_), reduced);
    at = t.compute(residual_s_, at);
    at = gather_then(t, gather, out_s_, at);
    if (with_weights) t.compute(out_s_, at);
    if (ring_s_ > 0) at = t.network(2 * ring_s_, at);
    at = t.compute(core_backward(), at);
    at = t.compute(rope_s_, at);
    if (gather > 0 && with_weights) t.network(gather, at);
    at = t.compute(qkv_s_, at);
    reduced = reduce > 0 ? t.network(reduce, at) : at;
    if (with_weights) t.compute(qkv_s_, at);
    at = t.compute(backward_bytes(norm_s_), reduced);
    t.compute(residual_s_, at);
  }
  // Backward passes of elementwise kernels read what the forward pass read and one gradient more, and write one.
  static double backward_bytes(double forward_s) { return 1.5 * forward_s; }

  const Rates& rates_;
  const Scenario& s_;
  Sizes z_;
  Group tp_;
  double gather_s_ = 0, reduce_s_ = 0, ring_s_ = 0;
  double qkv_s_ = 0, out_s_ = 0, up_s_ = 0, down_s_ = 0, core_s_ = 0;
  double norm_s_ = 0, residual_s_ = 0, rope_s_ = 0, act_s_ = 0;
};

}  // namespace

LayerTime layer_time(const Rates& rates, const Scenario& scenario) {
  return Block(rates, scenario).time();
}

EndsTime ends_time(const Rates& rates, const Scenario& scenario) {
  const Sizes z = sizes_of(scenario);
  const double tp = static_cast<double>(scenario.layout.tp);
  const double v = static_cast<double>(scenario.model.vocab_size) / tp;
  EndsTime t;
  t.embedding_forward_s = memory_s(rates, 2 * 2 * z.tokens * z.d);
  t.embedding_backward_s = memory_s(rates, (2 + 2 * 4) * z.tokens * z.d);  // read and add to fp32 rows
  const double gemm = gemm_s(rates, z.tokens, v, z.d);
  // Logits in two bytes, fp32 inside the kernel: one pass for the maximum and the sum, one that writes the gradient; a
  // program that keeps them apart converts them to fp32 first.
  const double logits = z.tokens * v;
  const bool in_place = scenario.recipe.in_place_cross_entropy;
  t.head_forward_s = gemm + memory_s(rates, (in_place ? 2 : 2 + 4 + 4 + 4) * logits);
  t.head_backward_input_s = gemm + memory_s(rates, (in_place ? 4 : 4 + 4 + 2) * logits);
  t.head_backward_weight_s = gemm;
  if (scenario.layout.tp > 1) {
    const Group group = tp_group(rates.machine, scenario.layout);
    const double bytes = 2 * z.tokens * z.d;
    t.embedding_forward_s +=
        scenario.layout.sp ? reduce_scatter_s(rates, group, bytes) : all_reduce_s(rates, group, bytes);
    t.head_forward_s += scenario.layout.sp ? all_gather_s(rates, group, bytes) : 0;
    t.head_backward_input_s +=
        scenario.layout.sp ? reduce_scatter_s(rates, group, bytes) : all_reduce_s(rates, group, bytes);
  }
  return t;
}

}  // namespace dsllm::sim
