// A scenario: which model, on which cluster, in which layout, with which recipe. Plain structs with defaults; everything
// in this room is a pure function of them. Bytes, seconds and FLOPs unless the name says otherwise; GPUs count from 0.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ref/core/config.hpp"
#include "ref/core/fields.hpp"
#include "ref/core/gpu.hpp"
#include "ref/core/json_fwd.hpp"

namespace dsllm::sim {

// A decoder of Llama's or GPT's type. The defaults are the 7B model (paper, table 2).
struct Model {
  int64_t n_layers = 30;
  int64_t d_model = 4096;
  int64_t n_heads = 32;
  int64_t n_kv_heads = 32;  // = n_heads: MHA; fewer: GQA; 1: MQA
  int64_t d_head = 128;
  int64_t d_ff = 11008;
  bool gated = true;  // SwiGLU: three matrices; false: two, and GPT's biases, LayerNorm and learned positions
  bool tied = false;  // the head is the embedding
  int64_t vocab_size = 102400;
  int64_t seq_len = 4096;

  void validate() const;  // throws ConfigError naming the field, its value and the rule
  int64_t q_dim() const { return n_heads * d_head; }
  int64_t kv_dim() const { return n_kv_heads * d_head; }
};

// deepseek-llm-7b, deepseek-llm-67b, others that claims compare with (llama-2-70b, gpt3-175b, ...).
std::vector<std::string> model_names();
Model find_model(std::string_view name);  // throws ValueError listing the names

// GPUs and the network between them. A number of 0 is the GPU's own (ref/core/gpu.hpp).
struct Cluster {
  std::string gpu = "h800-sxm";
  int64_t gpus = 8;
  int64_t gpus_per_node = 0;
  double flops_per_s = 0;  // dense peak in the recipe's precision
  double hbm_bytes = 0;
  double hbm_bytes_per_s = 0;
  double node_bytes_per_s = 0;     // NVLink, one GPU, one direction
  double network_bytes_per_s = 0;  // between nodes, one GPU's share, one direction

  void validate() const;
};

// The cluster with every number filled in.
struct Machine {
  int64_t gpus = 8, gpus_per_node = 8;
  double flops_per_s = 0, hbm_bytes = 0, hbm_bytes_per_s = 0, node_bytes_per_s = 0, network_bytes_per_s = 0;
  int compute_capability = 0;  // 70, 80, 90, 100: efficiency curves differ by it
  int sm_count = 0;            // streaming multiprocessors; 0: not published
};

enum class ScheduleKind { gpipe, one_f_one_b, interleaved, zb_h1, zb_h2, dualpipe };
enum class Recompute { none, selective, full };

std::string_view to_string(ScheduleKind kind);  // gpipe 1f1b interleaved zb-h1 zb-h2 dualpipe
std::string_view to_string(Recompute recompute);
ScheduleKind schedule_from_string(std::string_view name);  // throws ValueError listing the names
Recompute recompute_from_string(std::string_view name);

// How the work is divided. dp * tp * pp * cp GPUs; a rank's data-parallel group has dp * cp members for gradients.
struct Layout {
  int64_t dp = 0;  // 0: what the other factors leave of the cluster
  int64_t tp = 1, pp = 1, cp = 1;
  int64_t interleave = 1;  // v, chunks of layers on a stage
  ScheduleKind schedule = ScheduleKind::one_f_one_b;
  int64_t zero = 0;                           // stage 0 to 3 of ZeRO; 3 shards weights too (FSDP)
  bool sp = false;                            // sequence parallelism within tp
  int64_t micro_batch = 1, global_batch = 8;  // sequences
  Recompute recompute = Recompute::none;

  int64_t micro_batches() const { return global_batch / (dp * micro_batch); }  // of one replica
};

// How the numbers are kept and which overlaps the program does.
struct Recipe {
  std::string precision = "bf16";      // of the matrix products: bf16, fp16, fp8
  int64_t weight_bytes = 2;            // a parameter as the layers read it
  int64_t gradient_bytes = 4;          // gradients are accumulated in fp32 (paper, 2.4)
  int64_t master_bytes = 4;            // fp32 copy; 0: the optimizer updates the weights themselves
  int64_t moment_bytes = 8;            // Adam's two
  int64_t reduce_bytes = 4;            // a gradient on the wire
  bool flash_attention = true;         // no seq x seq tensor is kept
  bool in_place_cross_entropy = true;  // the logits' gradient overwrites them (paper, 2.4)
  bool dropout = false;                // masks are kept, as in GPT's original recipe
  bool overlap_dp = true;  // the last backward with the reduce-scatter, the first forward with the all-gather
  bool overlap_tp = true;  // GEMMs with all-gather and reduce-scatter in chunks
  bool overlap_pp = true;  // sends do not block the sender
  bool eager =
      false;  // norms, rotations and activations are not fused, and a step waits for the processor that
              // launches its kernels; false: as Megatron-LM and its like

  void validate() const;
};

struct Scenario {
  Model model;
  Cluster cluster;
  Layout layout;
  Recipe recipe;
};

// Fills dp in, and checks that everything fits together: heads by tp, layers by pp * interleave, the batch by dp *
// micro_batch, GPUs by dp * tp * pp * cp, stages and micro-batches by the schedule. Throws ConfigError naming the field,
// the value, the rule, and for a layout the nearest value that works.
Scenario checked(Scenario scenario);
// The same rules without an exception, for the search: nullptr or the rule that is broken.
const char* why_impossible(const Scenario& scenario) noexcept;

// Fills in what the GPU's table knows. Throws ValueError for an unknown GPU or a figure that it does not have.
Machine machine_of(const Cluster& cluster, const Recipe& recipe);

// How the layers are divided into pp * interleave consecutive parts. The head costs as much as some layers, so the last
// part gets fewer where that makes the slowest part faster; the others are as equal as can be, longer ones first, as
// programs do that hand out layers in their order (nanotron).
struct Split {
  int64_t parts = 1;
  int64_t last = 0;   // layers of the last part
  int64_t base = 0;   // of the others, and
  int64_t extra = 0;  // one more for the first so many of them
  int64_t layers(int64_t part) const {
    if (part == parts - 1) return last;
    return base + (part < extra ? 1 : 0);
  }
};
Split split_layers(const Model& model, const Layout& layout);

// Layers of one chunk (part chunk * pp + stage), and of a stage with all its chunks.
int64_t layers_of_chunk(const Model& model, const Layout& layout, int64_t stage, int64_t chunk);
int64_t layers_of_stage(const Model& model, const Layout& layout, int64_t stage);

template <class Config, class Visit>
requires is_config<Config, Model>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"n_layers", "number of blocks", 1, 10'000}, c.n_layers);
  visit(Field{"d_model", "width of the residual stream", 1, 1 << 20}, c.d_model);
  visit(Field{"n_heads", "query heads", 1, 1 << 16}, c.n_heads);
  visit(Field{"n_kv_heads", "key and value heads", 1, 1 << 16}, c.n_kv_heads);
  visit(Field{"d_head", "width of a head", 1, 1 << 16}, c.d_head);
  visit(Field{"d_ff", "width of the feed-forward layer", 1, 1 << 24}, c.d_ff);
  visit(Field{"gated", "SwiGLU, as Llama; false: GPT's layers"}, c.gated);
  visit(Field{"tied", "the head is the embedding"}, c.tied);
  visit(Field{"vocab_size", "rows of the embedding", 1, 1 << 28}, c.vocab_size);
  visit(Field{"seq_len", "tokens of a sequence", 1, 1 << 28}, c.seq_len);
}

template <class Config, class Visit>
requires is_config<Config, Cluster>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"gpu", "name of the GPU"}, c.gpu);
  visit(Field{"gpus", "GPUs of the cluster", 1, 1 << 24}, c.gpus);
  visit(Field{"gpus_per_node", "GPUs that NVLink joins; 0: the GPU's usual node", 0, 1 << 16},
        c.gpus_per_node);
  visit(Field{"flops_per_s", "dense peak; 0: the GPU's", 0, 1e19}, c.flops_per_s);
  visit(Field{"hbm_bytes", "memory of a GPU; 0: the GPU's", 0, 1e15}, c.hbm_bytes);
  visit(Field{"hbm_bytes_per_s", "its bandwidth; 0: the GPU's", 0, 1e16}, c.hbm_bytes_per_s);
  visit(Field{"node_bytes_per_s", "NVLink of a GPU in one direction; 0: the GPU's", 0, 1e15},
        c.node_bytes_per_s);
  visit(Field{"network_bytes_per_s", "network of a GPU in one direction; 0: usual", 0, 1e15},
        c.network_bytes_per_s);
}

template <class Config, class Visit>
requires is_config<Config, Recipe>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"precision", "of the matrix products: bf16, fp16 or fp8"}, c.precision);
  visit(Field{"weight_bytes", "of a parameter", 1, 8}, c.weight_bytes);
  visit(Field{"gradient_bytes", "of an accumulated gradient", 0, 8}, c.gradient_bytes);
  visit(Field{"master_bytes", "of the optimizer's copy of a parameter", 0, 8}, c.master_bytes);
  visit(Field{"moment_bytes", "of Adam's two moments together", 0, 16}, c.moment_bytes);
  visit(Field{"reduce_bytes", "of a gradient on the wire", 1, 8}, c.reduce_bytes);
  visit(Field{"flash_attention", "scores are never stored"}, c.flash_attention);
  visit(Field{"in_place_cross_entropy", "the logits' gradient overwrites them"}, c.in_place_cross_entropy);
  visit(Field{"dropout", "its masks are stored"}, c.dropout);
  visit(Field{"overlap_dp", "gradients are reduced during the last backward"}, c.overlap_dp);
  visit(Field{"overlap_tp", "matrix products overlap with their collectives"}, c.overlap_tp);
  visit(Field{"overlap_pp", "sends do not block the sender"}, c.overlap_pp);
  visit(Field{"eager", "kernels are not fused, and launched one by one"}, c.eager);
}

template <class Config, class Visit>
requires is_config<Config, Layout>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"dp", "data-parallel replicas; 0: what is left", 0, 1 << 24}, c.dp);
  visit(Field{"tp", "tensor-parallel ranks", 1, 1 << 16}, c.tp);
  visit(Field{"pp", "pipeline stages", 1, 1 << 16}, c.pp);
  visit(Field{"cp", "context-parallel ranks", 1, 1 << 16}, c.cp);
  visit(Field{"interleave", "chunks of layers a stage", 1, 1 << 16}, c.interleave);
  std::string schedule{to_string(c.schedule)};
  visit(Field{"schedule", "gpipe, 1f1b, interleaved, zb-h1, zb-h2 or dualpipe"}, schedule);
  visit(Field{"zero", "stage of ZeRO", 0, 3}, c.zero);
  visit(Field{"sp", "sequence parallelism within tp"}, c.sp);
  visit(Field{"micro_batch", "sequences of one pass", 1, 1 << 24}, c.micro_batch);
  visit(Field{"global_batch", "sequences of one step", 1, 1 << 30}, c.global_batch);
  std::string recompute{to_string(c.recompute)};
  visit(Field{"recompute", "none, selective (attention's scores) or full (whole layers)"}, recompute);
  if constexpr (!std::is_const_v<Config>) {
    c.schedule = schedule_from_string(schedule);
    c.recompute = recompute_from_string(recompute);
  }
}

// A scenario file: {"dsllm-sim": 1, "model": "deepseek-llm-67b" or {...}, "cluster": {...}, "layout": {...},
// "recipe": {...}}. What a file leaves out keeps its default. Throws FileError, ConfigError; the number is the format's
// version, and another one is an error.
Scenario scenario_from_json(const Json& json, const std::string& path);
Json scenario_to_json(const Scenario& scenario);

}  // namespace dsllm::sim
