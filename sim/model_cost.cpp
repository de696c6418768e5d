#include "sim/model_cost.hpp"

#include <fmt/format.h>

#include "ref/core/error.hpp"

namespace dsllm::sim {
namespace {

double d(int64_t n) {
  return static_cast<double>(n);
}

// Query-key pairs that a token takes part in, averaged over the sequence.
double pairs_per_token(const Model& m, bool causal) {
  return causal ? d(m.seq_len) / 2 : d(m.seq_len);
}

double tokens(const Model& m, int64_t batch) {
  return d(batch) * d(m.seq_len);
}

}  // namespace

std::string to_string(const FlopConvention& c) {
  return fmt::format("{} attention, {} the head, {}", c.causal ? "causal" : "full",
                     c.head ? "with" : "without",
                     c.recompute == Recompute::none
                         ? std::string("model FLOPs")
                         : fmt::format("hardware FLOPs of {} recomputation", to_string(c.recompute)));
}

Parameters parameters(const Model& m) {
  Parameters p;
  p.n_layers = m.n_layers;
  LayerParameters& l = p.layer;
  l.qkv = m.d_model * (m.q_dim() + 2 * m.kv_dim());
  l.attention_output = m.d_model * m.q_dim();
  l.mlp_in = m.d_model * m.d_ff * (m.gated ? 2 : 1);
  l.mlp_down = m.d_model * m.d_ff;
  p.embedding = m.vocab_size * m.d_model;
  p.head = m.tied ? 0 : p.embedding;
  if (m.gated) {
    l.norms = 2 * m.d_model;
    p.final_norm = m.d_model;
  } else {
    l.split_bias = m.q_dim() + 2 * m.kv_dim() + m.d_ff;
    l.whole_bias = 2 * m.d_model;
    l.norms = 4 * m.d_model;
    p.final_norm = 2 * m.d_model;
    p.positions = m.seq_len * m.d_model;
  }
  return p;
}

LayerFlops forward_layer_flops_per_token(const Model& m, bool causal) {
  const LayerParameters l = parameters(m).layer;
  LayerFlops f;
  f.qkv = 2 * d(l.qkv);
  f.attention_core = 2 * 2 * d(m.q_dim()) * pairs_per_token(m, causal);
  f.attention_output = 2 * d(l.attention_output);
  f.mlp_in = 2 * d(l.mlp_in);
  f.mlp_down = 2 * d(l.mlp_down);
  return f;
}

double forward_head_flops_per_token(const Model& m) {
  return 2 * d(m.vocab_size) * d(m.d_model);
}

Flops flops_per_token(const Model& m, const FlopConvention& convention) {
  const LayerFlops layer = forward_layer_flops_per_token(m, convention.causal);
  const double matrices =
      d(m.n_layers) * layer.matrices() + (convention.head ? forward_head_flops_per_token(m) : 0);
  const double core = d(m.n_layers) * layer.attention_core;
  Flops f;
  f.forward = matrices + core;
  f.backward_input = matrices + 2 * core;
  f.backward_weight = matrices;
  if (convention.recompute == Recompute::selective) f.recompute = core;
  if (convention.recompute == Recompute::full) f.recompute = d(m.n_layers) * layer.total();
  return f;
}

double step_flops(const Model& m, int64_t batch, const FlopConvention& convention) {
  return tokens(m, batch) * flops_per_token(m, convention).total();
}

double utilization(double flops, double seconds, int64_t gpus, double peak_flops_per_s) {
  if (!(seconds > 0)) throw ValueError("utilization", "a time above 0 s", fmt::format("{}", seconds));
  if (gpus < 1) throw ValueError("utilization", "at least one GPU", fmt::format("{}", gpus));
  if (!(peak_flops_per_s > 0))
    throw ValueError("utilization", "a peak above 0 FLOP/s", fmt::format("{}", peak_flops_per_s));
  return flops / (seconds * d(gpus) * peak_flops_per_s);
}

double paper_m(const Model& m) {
  return paper_6n1(m) + 12 * d(m.n_layers) * d(m.d_model) * d(m.seq_len);
}

double paper_6n1(const Model& m) {
  return 72 * d(m.n_layers) * d(m.d_model) * d(m.d_model);
}

double paper_6n2(const Model& m) {
  return paper_6n1(m) + 6 * d(m.vocab_size) * d(m.d_model);
}

double narayanan_parameters(const Model& m) {
  const double L = d(m.n_layers), h = d(m.d_model), s = d(m.seq_len), V = d(m.vocab_size);
  return 12 * L * h * h * (1 + 13 / (12 * h) + (V + s) / (12 * L * h));
}

double narayanan_step_flops(const Model& m, int64_t batch) {
  const double L = d(m.n_layers), h = d(m.d_model), s = d(m.seq_len), V = d(m.vocab_size);
  return 96 * tokens(m, batch) * L * h * h * (1 + s / (6 * h) + V / (16 * L * h));
}

double korthikanti_model_flops(const Model& m, int64_t batch) {
  const double L = d(m.n_layers), h = d(m.d_model), s = d(m.seq_len), V = d(m.vocab_size);
  return 72 * tokens(m, batch) * L * h * h * (1 + s / (6 * h) + V / (12 * h * L));
}

double korthikanti_hardware_flops(const Model& m, int64_t batch) {
  const double L = d(m.n_layers), h = d(m.d_model), s = d(m.seq_len), V = d(m.vocab_size);
  return 72 * tokens(m, batch) * L * h * h * (1 + s / (3 * h) + V / (12 * h * L));
}

double palm_flops_per_token(const Model& m) {
  return 6 * d(parameters(m).total()) + 12 * d(m.n_layers) * d(m.q_dim()) * d(m.seq_len);
}

}  // namespace dsllm::sim
