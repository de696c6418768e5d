// Parameters and FLOPs of a decoder, part by part, with what is counted said by the caller. A multiplication and an
// addition are two FLOPs. Norms, activations, softmax, rotations and the lookup of embeddings are not counted: they take
// less than a percent of the FLOPs, and their time is that of their bytes.
#pragma once

#include <cstdint>
#include <string>

#include "sim/scenario.hpp"

namespace dsllm::sim {

// What a count of FLOPs counts. Published numbers differ by up to a fifth through this alone.
struct FlopConvention {
  bool causal = true;  // attention's products: s^2 / 2 pairs; false: all s^2, as if nothing was masked
  bool head = true;    // the product with the head
  Recompute recompute =
      Recompute::none;  // none: model FLOPs (MFU); others: hardware FLOPs, what is computed twice too
                        // (HFU). selective: attention's core; full: every layer
};
// "causal attention, with the head, model FLOPs"
std::string to_string(const FlopConvention& convention);

// Numbers of parameters; Model::validate keeps every sum below 2^53, so that a double holds them too.
struct LayerParameters {
  int64_t qkv = 0;               // [q_dim + 2 kv_dim, d_model]
  int64_t attention_output = 0;  // [d_model, q_dim]
  int64_t mlp_in = 0;            // gate and up [2 d_ff, d_model]; GPT: [d_ff, d_model]
  int64_t mlp_down = 0;          // [d_model, d_ff]
  int64_t split_bias = 0;        // GPT: of qkv and mlp_in, which tensor parallelism splits
  int64_t whole_bias = 0;        // GPT: of attention_output and mlp_down, on every rank
  int64_t norms = 0;             // two RMSNorms; GPT: two LayerNorms with gain and bias

  int64_t matrices() const { return qkv + attention_output + mlp_in + mlp_down; }
  int64_t total() const { return matrices() + split_bias + whole_bias + norms; }
};
struct Parameters {
  LayerParameters layer;
  int64_t n_layers = 0;
  int64_t embedding = 0;  // [vocab_size, d_model]
  int64_t positions = 0;  // GPT: [seq_len, d_model]
  int64_t final_norm = 0;
  int64_t head = 0;  // [vocab_size, d_model]; tied: 0

  int64_t total() const { return n_layers * layer.total() + embedding + positions + final_norm + head; }
  // Those of matrices that a token is multiplied with: the layers', and the head's, which may be the embedding.
  int64_t multiplied(bool with_head) const {
    return n_layers * layer.matrices() + (with_head ? embedding : 0);
  }
};
Parameters parameters(const Model& model);

// FLOPs of the forward pass for one token, in one layer, averaged over the sequence.
struct LayerFlops {
  double qkv = 0;
  double attention_core = 0;  // scores Q K^T and values P V
  double attention_output = 0;
  double mlp_in = 0;
  double mlp_down = 0;

  double matrices() const { return qkv + attention_output + mlp_in + mlp_down; }
  double total() const { return matrices() + attention_core; }
};
LayerFlops forward_layer_flops_per_token(const Model& model, bool causal);
double forward_head_flops_per_token(const Model& model);  // 2 vocab_size d_model

// FLOPs of one token in the whole model. The backward pass of a matrix takes two products, one for its input's and one
// for its weight's gradient; that of attention's core takes four for the forward pass's two, all of inputs.
struct Flops {
  double forward = 0;
  double backward_input = 0;
  double backward_weight = 0;
  double recompute = 0;  // forward FLOPs that are done again

  double total() const { return forward + backward_input + backward_weight + recompute; }
};
Flops flops_per_token(const Model& model, const FlopConvention& convention);
// Of a step: batch sequences of seq_len tokens.
double step_flops(const Model& model, int64_t batch, const FlopConvention& convention);

// The share of `peak_flops_per_s` on `gpus` GPUs that `flops` in `seconds` take. MFU for model FLOPs, HFU for hardware
// FLOPs. Throws ValueError unless seconds, gpus and the peak are positive.
double utilization(double flops, double seconds, int64_t gpus, double peak_flops_per_s);

// DeepSeek LLM (arXiv 2401.02954) eq. 2, FLOPs per token: M with full attention, without the head, for MHA and an MLP of
// 8 d^2 weights, whatever the model has; 6 N1 without, 6 N2 with one vocabulary matrix, both without attention's core.
double paper_m(const Model& model);    // 72 n d^2 + 12 n d s
double paper_6n1(const Model& model);  // 72 n d^2
double paper_6n2(const Model& model);  // 72 n d^2 + 6 V d

// Narayanan et al. 2021 (arXiv 2104.04473), GPT with d_ff = 4 d. Eq. 2: parameters, 12 L h^2 (1 + 13/(12h) +
// (V + s)/(12 L h)), the final norm left out. Eq. 3: FLOPs of a step, full attention and full recomputation,
// 96 B s L h^2 (1 + s/(6h) + V/(16 L h)).
double narayanan_parameters(const Model& model);
double narayanan_step_flops(const Model& model, int64_t batch);

// Korthikanti et al. 2022 (arXiv 2205.05198), GPT with d_ff = 4 d, full attention, FLOPs of a step. Eq. 7, the model's:
// 72 B L s h^2 (1 + s/(6h) + V/(12 h L)). Eq. 8, the hardware's with selective recomputation: the same with s/(3h), as printed; the
// forward pass of attention's core once more would be s/(4.5h), which flops_per_token counts.
double korthikanti_model_flops(const Model& model, int64_t batch);
double korthikanti_hardware_flops(const Model& model, int64_t batch);

// PaLM (arXiv 2204.02311) appendix B: 6 N + 12 L H Q T per token, N all parameters, full attention.
double palm_flops_per_token(const Model& model);

}  // namespace dsllm::sim
