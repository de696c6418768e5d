// Bytes of one rank: what it keeps for the whole run (weights, gradients, optimizer), what passes leave for their backward
// pass, and what is alive for a moment. GB are 1e9 bytes.
//
// A rank is stage `stage` of the pipeline; all ranks of a stage hold the same. Sequences are divided by cp, heads and
// d_ff by tp; with sequence parallelism (sp) also the tensors between the tensor-parallel parts are divided by tp.
// Scenarios must be `checked` (dp filled in); nothing here checks again, throws or, unless it returns text or a vector,
// allocates.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/pipeline.hpp"
#include "sim/scenario.hpp"

namespace dsllm::sim {

// What programs do with memory beyond the tensors that the mathematics needs. Where no other source is named: chosen
// together, on a grid, for the least mean error on the peaks that nanotron reports for 428 runs of 1B and 8B models on 8 to
// 64 H100s (Hugging Face, Ultra-Scale Playbook benchmark) and Qi et al. for 24 runs (arXiv 2401.10241, table 4); flat around
// the choice. The names are what nanotron's source shows; none belongs to a row.
struct MemoryConstants {
  // A logit from the head to its gradient. In place: the gradient overwrites it in bf16 (paper, 2.4).
  double logits_bytes_in_place = 2;
  // Otherwise: bf16, a copy in fp32, and the shifted copy that becomes softmax and gradient (sharded_cross_entropy).
  double logits_bytes = 10;
  // Recipe::eager: an element of d_ff that a SwiGLU of separate kernels keeps beyond gate, up and product: SiLU(gate) is 2 of these.
  double mlp_copies_bytes = 5;
  // Recipe::eager with sp, of an element of d_model on another rank: half of the runs look as if both gathered inputs of a layer were
  // kept (4), half as if none were.
  double gathered_bytes = 0.5;
  // Recipe::eager: a parameter, where gradients of bf16 wait in buckets of their own to be reduced and added in fp32 (PyTorch's DDP; the
  // runs without data parallelism need 2 bytes less).
  double gradient_copy_bytes = 2;
  // Share of what comes and goes that PyTorch's allocator loses to rounding and fragments.
  double fragmentation = 0.03;
  // ZeRO-3: layers whose weights are there at once, the present and the next. By construction, not measured.
  double gathered_layers = 2;
  // CUDA's context, NCCL's channels, libraries; frameworks' own figures leave it out. A usual value, not measured here.
  double context_bytes = 1.5e9;
};
inline constexpr MemoryConstants memory_constants{};

struct TensorBytes {
  const char* name;
  double bytes;
  const char* lifetime;
};

// What one micro-batch leaves in one layer on one rank between its forward and its backward pass, by tensor.
std::vector<TensorBytes> activation_tensors(const Scenario& scenario);
// Their sum.
double activation_bytes_per_layer(const Scenario& scenario);
// Of one layer, kept for the weights' backward pass when that is delayed (zero-bubble schedules): inputs and output
// gradients of its matrices (Qi et al.'s M_W).
double weight_context_bytes_per_layer(const Scenario& scenario);
// One micro-batch between two stages, on one rank.
double boundary_bytes(const Scenario& scenario);

// Passes of micro-batches through the stage (all its chunks; DualPipe: one of its two) that wait for their backward pass,
// at the schedule's peak. Fractions come from interleaving.
struct PassesHeld {
  double activations = 1;
  double weight_contexts = 0;  // their input's backward is done, their weights' is not
};
// Closed forms (Narayanan et al. 2021 2.2; Qi et al. arXiv 2401.10241 table 2; DeepSeek-V3 arXiv 2412.19437 table 2).
PassesHeld passes_held(const Layout& layout, int64_t stage);
// Both kinds together.
double in_flight_micro_batches(const Layout& layout, int64_t stage);

struct RankMemory {
  double weights = 0;
  double gradients = 0;
  double optimizer = 0;    // master copy and moments
  double activations = 0;  // of all passes in flight
  double logits = 0;       // and their gradient, on the head's stage
  double buffers = 0;      // of communication, and what one layer needs while it runs
  double allowance = 0;    // memory_constants: copies that programs keep, fragmentation
  double context = 0;      // memory_constants
  double in_flight = 0;    // micro-batches, for the report

  // What a framework reports as its peak.
  double allocated() const {
    return weights + gradients + optimizer + activations + logits + buffers + allowance;
  }
  double total() const { return allocated() + context; }
};
RankMemory rank_memory(const Scenario& scenario, const Machine& machine, int64_t stage, PassesHeld held);
RankMemory rank_memory(const Scenario& scenario, const Machine& machine, int64_t stage, double in_flight);
// With the schedule's closed form.
RankMemory rank_memory(const Scenario& scenario, const Machine& machine, int64_t stage);
// The stage that needs most (its memory, and its number in `stage` unless null).
RankMemory worst_rank_memory(const Scenario& scenario, const Machine& machine, int64_t* stage = nullptr);

// Parameters on one rank: of a layer, and of a stage with all its chunks, embedding, head and norms.
double layer_parameters_of_rank(const Scenario& scenario);
double parameters_of_rank(const Scenario& scenario, int64_t stage);
// Layers on it: DualPipe's stages hold two parts.
int64_t layers_of_rank(const Scenario& scenario, int64_t stage);

// What a pass through chunk `chunk` of stage `stage` holds, for Pipeline::bytes. DualPipe: chunk 0 or 1, a direction each.
ChunkBytes chunk_bytes(const Scenario& scenario, int64_t stage, int64_t chunk);

// "" if it fits, or "stage 0 needs 91.3 GB of 80.0 GB: 62.1 GB of activations, 8 micro-batches in flight": the largest
// item is named.
std::string why_it_does_not_fit(const RankMemory& memory, const Machine& machine, int64_t stage);

// Weights and KV cache of a model that generates, on one of tp ranks.
struct InferenceMemory {
  double weights = 0;
  double kv_cache = 0;  // 2 n_layers kv_dim a token
  double total() const { return weights + kv_cache; }
};
// `batch` sequences of `tokens` tokens each; kv heads are replicated where tp exceeds them.
InferenceMemory inference_memory(const Model& model, int64_t tp, int64_t batch, int64_t tokens,
                                 double weight_bytes = 2, double kv_bytes = 2);

}  // namespace dsllm::sim
