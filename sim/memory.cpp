#include "sim/memory.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "sim/model_cost.hpp"

namespace dsllm::sim {
namespace {

constexpr double element = 2;  // bytes of an activation: bf16 or fp16, also where matrix products are in fp8

double d(int64_t n) {
  return static_cast<double>(n);
}

// What one rank has of a micro-batch and of a layer's width.
struct Local {
  double tokens;  // [tokens, ...] between the parallel matrices
  double
      whole_tokens;  // [whole_tokens, d_model]: sequence parallelism divides them, plain tensor parallelism does not
  double d_model, q, kv, d_ff, n_heads, vocab;
};

// The vocabulary is padded to a multiple of tp; kv heads are repeated where tp exceeds them.
Local local(const Scenario& s) {
  const Model& m = s.model;
  const Layout& l = s.layout;
  const double tokens = d(l.micro_batch) * d(m.seq_len) / d(l.cp);
  const double tp = d(l.tp);
  return {tokens,
          l.sp ? tokens / tp : tokens,
          d(m.d_model),
          d(m.q_dim()) / tp,
          d(std::max<int64_t>(m.n_kv_heads / l.tp, 1) * m.d_head),
          d(m.d_ff) / tp,
          d(m.n_heads) / tp,
          d((m.vocab_size + l.tp - 1) / l.tp)};
}

constexpr const char* until_input = "to the backward pass of the layer's input";
constexpr const char* until_weight = "to the backward pass of the matrix that reads it";
constexpr const char* until_rerun = "to the second run of the layer";

// Korthikanti et al. 2022, section 4, for any shape: visit(name, bytes, lifetime) for each tensor that is kept.
template <class Visit>
void visit_activations(const Scenario& s, const Local& r, Recompute recompute, Visit&& visit) {
  const Recipe& recipe = s.recipe;
  const double whole = r.whole_tokens * r.d_model;
  if (recompute == Recompute::full) {
    visit("layer input", element * whole, until_rerun);
    return;
  }
  visit("attention norm input", element * whole, until_input);
  visit("attention norm output", element * whole, until_weight);
  visit("queries", element * r.tokens * r.q, until_input);
  visit("keys and values", element * r.tokens * 2 * r.kv, until_input);
  if (recompute == Recompute::none) {
    const double scores = r.tokens * r.n_heads * d(s.model.seq_len);
    if (recipe.flash_attention) {
      visit("log-sum-exp of scores", 4 * r.tokens * r.n_heads, until_input);
    } else {
      visit("softmax of scores", element * scores, until_input);
      if (recipe.dropout) {
        visit("dropout of scores", element * scores, until_input);
        visit("mask of scores", scores, until_input);
      }
    }
  }
  visit("attention output", element * r.tokens * r.q, until_weight);
  if (recipe.dropout) visit("attention dropout mask", whole, until_input);
  visit("feed-forward norm input", element * whole, until_input);
  visit("feed-forward norm output", element * whole, until_weight);
  if (s.model.gated) {
    visit("gate", element * r.tokens * r.d_ff, until_input);
    visit("up", element * r.tokens * r.d_ff, until_input);
    visit("gate * up", element * r.tokens * r.d_ff, until_weight);
  } else {
    visit("GELU input", element * r.tokens * r.d_ff, until_input);
    visit("GELU output", element * r.tokens * r.d_ff, until_weight);
  }
  if (recipe.dropout) visit("feed-forward dropout mask", whole, until_input);
}

double activation_sum(const Scenario& s, const Local& r, Recompute recompute) {
  double bytes = 0;
  visit_activations(s, r, recompute, [&](const char*, double b, const char*) { bytes += b; });
  return bytes;
}

// Inputs and output gradients of the four matrices.
double weight_context_bytes(const Scenario& s, const Local& r) {
  const double inputs = 2 * r.whole_tokens * r.d_model + r.tokens * (r.q + r.d_ff);
  const double output_gradients =
      r.tokens * (r.q + 2 * r.kv + r.d_ff * (s.model.gated ? 2 : 1)) + 2 * r.whole_tokens * r.d_model;
  return element * (inputs + output_gradients);
}

double boundary_of(const Local& r) {
  return element * r.whole_tokens * r.d_model;
}

bool two_directions(const Layout& l) {
  return l.schedule == ScheduleKind::dualpipe;
}

double layer_parameters(const Scenario& s, const Local& r, const LayerParameters& layer) {
  const double matrices = r.d_model * (2 * r.q + 2 * r.kv + r.d_ff * (s.model.gated ? 3 : 2));
  const double split = s.model.gated ? 0 : r.q + 2 * r.kv + r.d_ff;
  return matrices + split + d(layer.whole_bias + layer.norms);
}

// Alive while one layer runs backward: what full or selective recomputation makes again, and the gradients of the widest
// part, the feed-forward layer.
double working_bytes(const Scenario& s, const Local& r, double kept) {
  const double again =
      s.layout.recompute == Recompute::none ? 0 : activation_sum(s, r, Recompute::none) - kept;
  const double gradients =
      element * (r.tokens * r.d_ff * (s.model.gated ? 3 : 2) + 2 * r.whole_tokens * r.d_model);
  return again + gradients;
}

// What a program of separate kernels (Recipe::eager, where it was measured) keeps of one pass through one layer beyond our list.
double copied_bytes(const Scenario& s, const Local& r) {
  if (s.layout.recompute == Recompute::full || !s.recipe.eager) return 0;
  double bytes = 0;
  if (s.model.gated) bytes += memory_constants.mlp_copies_bytes * r.tokens * r.d_ff;
  if (s.layout.sp) bytes += memory_constants.gathered_bytes * (r.tokens - r.whole_tokens) * r.d_model;
  return bytes;
}

// What a stage, or one chunk of it, has of the model. DualPipe's stage s has part s for one direction and part pp - 1 - s for
// the other.
struct Part {
  int64_t layers = 0;
  bool embedding = false, head = false;
  double passes =
      1;  // kinds of passes that share it: 2 for a stage of DualPipe, each through one of its parts
};

// What all stages have in common, computed once.
struct Ranks {
  const Scenario& s;
  Local r;
  Split split;
  Parameters whole;
  double parameters, activations, weight_context, working,
      copied;  // of one layer and, where it applies, one pass

  explicit Ranks(const Scenario& scenario)
      : s(scenario),
        r(local(s)),
        split(split_layers(s.model, s.layout)),
        whole(sim::parameters(s.model)),
        parameters(layer_parameters(s, r, whole.layer)),
        activations(activation_sum(s, r, s.layout.recompute)),
        weight_context(weight_context_bytes(s, r)),
        working(working_bytes(s, r, activations)),
        copied(copied_bytes(s, r)) {}

  Part stage(int64_t stage) const {
    const Layout& l = s.layout;
    Part part;
    for (int64_t chunk = 0; chunk < l.interleave; ++chunk) part.layers += split.layers(chunk * l.pp + stage);
    part.embedding = stage == 0;
    part.head = stage == l.pp - 1;
    if (two_directions(l)) {
      part.layers += split.layers(l.pp - 1 - stage);
      part.embedding = part.head = part.embedding || part.head;
      part.passes = 2;
    }
    return part;
  }

  double parameters_of(const Part& part) const {
    double n = d(part.layers) * parameters;
    if (part.embedding) n += r.vocab * r.d_model + d(whole.positions);
    if (part.head) n += d(whole.final_norm);
    // A tied head on another stage than the embedding is a copy.
    if (part.head && !(s.model.tied && part.embedding)) n += r.vocab * r.d_model;
    return n;
  }

  // Of one pass, without logits: layers, the embedding's dropout mask, the final norm's and the head's input.
  double pass_bytes(const Part& part) const {
    double bytes = d(part.layers) * activations;
    if (part.embedding && s.recipe.dropout) bytes += r.whole_tokens * r.d_model;
    if (part.head) bytes += 2 * element * r.whole_tokens * r.d_model;
    return bytes / part.passes;
  }

  double logits_of_pass() const {
    return r.tokens * r.vocab *
           (s.recipe.in_place_cross_entropy ? memory_constants.logits_bytes_in_place
                                            : memory_constants.logits_bytes);
  }

  double buffer_bytes(const Part& part, double sharding) const;
  RankMemory memory(int64_t stage, PassesHeld held) const;
};

double Ranks::buffer_bytes(const Part& part, double sharding) const {
  const Layout& l = s.layout;
  double bytes = 0;
  // The gathered input of a matrix, and the sum that is about to be scattered.
  if (l.sp) bytes += 2 * element * r.tokens * r.d_model;
  // Keys and values of the next rank, received while the present ones are used, and their gradients.
  if (l.cp > 1) bytes += 2 * element * r.tokens * 2 * r.kv;
  // An activation and a gradient that have arrived.
  if (l.pp > 1) bytes += 2 * boundary_of(r);
  if (l.zero >= 2 && sharding > 1) {
    // The largest unit that is gathered or reduced at once: a layer, or a vocabulary matrix.
    const double unit = std::max(parameters, part.embedding || part.head ? r.vocab * r.d_model : 0.0);
    bytes += unit * d(s.recipe.reduce_bytes);
    if (l.zero == 3)
      bytes += std::max(unit, memory_constants.gathered_layers * parameters) * d(s.recipe.weight_bytes);
  }
  return bytes;
}

RankMemory Ranks::memory(int64_t stage_number, PassesHeld held) const {
  const Layout& l = s.layout;
  const Recipe& recipe = s.recipe;
  const Part part = stage(stage_number);
  const double n = parameters_of(part);
  // Ranks that have the same parameters, and divide what ZeRO shards.
  const double sharding = d(l.dp) * d(l.cp) * part.passes;
  const double layers_a_pass = d(part.layers) / part.passes;

  RankMemory m;
  m.weights = n * d(recipe.weight_bytes) / (l.zero == 3 ? sharding : 1);
  m.gradients = n * d(recipe.gradient_bytes) / (l.zero >= 2 ? sharding : 1);
  m.optimizer = n * d(recipe.master_bytes + recipe.moment_bytes) / (l.zero >= 1 ? sharding : 1);
  m.activations = held.activations * pass_bytes(part) + held.weight_contexts * layers_a_pass * weight_context;
  if (part.head) {
    // GPipe runs all micro-batches forward first; the others turn round at the head.
    const double passes = l.schedule == ScheduleKind::gpipe ? held.activations : 1;
    m.logits = std::min(passes, held.activations) * logits_of_pass();
  }
  // The last layer runs backward when the logits are gone.
  m.buffers = buffer_bytes(part, sharding) + std::max(working - m.logits, 0.0);

  const double copies = held.activations * layers_a_pass * copied;
  m.allowance = copies + memory_constants.fragmentation * (copies + m.activations + m.logits + m.buffers);
  if (s.recipe.eager && sharding > 1 && l.zero < 2) m.allowance += memory_constants.gradient_copy_bytes * n;
  m.context = memory_constants.context_bytes;
  m.in_flight = held.activations + held.weight_contexts;
  return m;
}

}  // namespace

std::vector<TensorBytes> activation_tensors(const Scenario& s) {
  std::vector<TensorBytes> tensors;
  visit_activations(s, local(s), s.layout.recompute,
                    [&](const char* name, double bytes, const char* lifetime) {
                      tensors.push_back({name, bytes, lifetime});
                    });
  return tensors;
}

double activation_bytes_per_layer(const Scenario& s) {
  return activation_sum(s, local(s), s.layout.recompute);
}

double weight_context_bytes_per_layer(const Scenario& s) {
  return weight_context_bytes(s, local(s));
}

double boundary_bytes(const Scenario& s) {
  return boundary_of(local(s));
}

PassesHeld passes_held(const Layout& l, int64_t stage) {
  const double p = d(l.pp), v = d(l.interleave), m = d(l.micro_batches()), i = d(stage);
  // At most m; what is left of the weights' share then.
  const auto capped = [m](double activations, double weight_contexts) {
    const double a = std::min(m, activations);
    return PassesHeld{a, std::min(m - a, weight_contexts)};
  };
  switch (l.schedule) {
    case ScheduleKind::gpipe:
      return {m, 0};
    case ScheduleKind::one_f_one_b:
      return capped(p - i, 0);
    case ScheduleKind::interleaved:
      // Chunk passes: 2 (p - i - 1) + (v - 1) p before the first backward pass, and the one that it belongs to.
      return capped((2 * (p - i - 1) + (v - 1) * p + 1) / v, 0);
    case ScheduleKind::zb_h1:
      return capped(p - i, i);
    case ScheduleKind::zb_h2:
      return capped(2 * (p - i) - 1, 2 * i);
    case ScheduleKind::dualpipe:
      return capped(p + 1, 0);
  }
  return {};
}

double in_flight_micro_batches(const Layout& l, int64_t stage) {
  const PassesHeld f = passes_held(l, stage);
  return f.activations + f.weight_contexts;
}

RankMemory rank_memory(const Scenario& s, const Machine&, int64_t stage, PassesHeld held) {
  return Ranks(s).memory(stage, held);
}

RankMemory rank_memory(const Scenario& s, const Machine& machine, int64_t stage, double in_flight) {
  return rank_memory(s, machine, stage, PassesHeld{in_flight, 0});
}

RankMemory rank_memory(const Scenario& s, const Machine& machine, int64_t stage) {
  return rank_memory(s, machine, stage, passes_held(s.layout, stage));
}

RankMemory worst_rank_memory(const Scenario& s, const Machine&, int64_t* stage) {
  const Ranks ranks(s);
  RankMemory worst = ranks.memory(0, passes_held(s.layout, 0));
  if (stage) *stage = 0;
  for (int64_t i = 1; i < s.layout.pp; ++i)
    if (const RankMemory m = ranks.memory(i, passes_held(s.layout, i)); m.total() > worst.total()) {
      worst = m;
      if (stage) *stage = i;
    }
  return worst;
}

ChunkBytes chunk_bytes(const Scenario& s, int64_t stage, int64_t chunk) {
  const Layout& l = s.layout;
  const Ranks ranks(s);
  const int64_t of_stage = chunk * l.pp + stage;
  const int64_t number = !two_directions(l) ? of_stage : chunk == 0 ? stage : l.pp - 1 - stage;
  Part part;
  part.layers = ranks.split.layers(number);
  part.embedding = number == 0;
  part.head = number == l.pp * l.interleave - 1;
  ChunkBytes bytes;
  bytes.activation = ranks.pass_bytes(part) + (part.head ? ranks.logits_of_pass() : 0);
  bytes.weight_context = std::min(d(part.layers) * ranks.weight_context, bytes.activation);
  return bytes;
}

std::string why_it_does_not_fit(const RankMemory& m, const Machine& machine, int64_t stage) {
  if (m.total() <= machine.hbm_bytes) return "";
  struct Item {
    double bytes;
    const char* name;
  };
  const std::array<Item, 8> items{{{m.weights, "weights"},
                                   {m.gradients, "gradients"},
                                   {m.optimizer, "optimizer states"},
                                   {m.activations, "activations"},
                                   {m.logits, "logits"},
                                   {m.buffers, "buffers"},
                                   {m.allowance, "allowance for copies and fragmentation"},
                                   {m.context, "CUDA and NCCL"}}};
  const Item& most = *std::max_element(items.begin(), items.end(),
                                       [](const Item& a, const Item& b) { return a.bytes < b.bytes; });
  std::string text = fmt::format("stage {} needs {:.1f} GB of {:.1f} GB: {:.1f} GB of {}", stage,
                                 m.total() / 1e9, machine.hbm_bytes / 1e9, most.bytes / 1e9, most.name);
  if (&most == &items[3])
    text += fmt::format(", {:.3g} micro-batch{} in flight", m.in_flight, m.in_flight == 1 ? "" : "es");
  return text;
}

double layer_parameters_of_rank(const Scenario& s) {
  return layer_parameters(s, local(s), parameters(s.model).layer);
}

double parameters_of_rank(const Scenario& s, int64_t stage) {
  const Ranks ranks(s);
  return ranks.parameters_of(ranks.stage(stage));
}

int64_t layers_of_rank(const Scenario& s, int64_t stage) {
  const int64_t layers = layers_of_stage(s.model, s.layout, stage);
  return two_directions(s.layout) ? layers + layers_of_stage(s.model, s.layout, s.layout.pp - 1 - stage)
                                  : layers;
}

InferenceMemory inference_memory(const Model& model, int64_t tp, int64_t batch, int64_t tokens,
                                 double weight_bytes, double kv_bytes) {
  Scenario s;
  s.model = model;
  s.layout.tp = tp;
  const Ranks ranks(s);
  InferenceMemory m;
  m.weights = weight_bytes * ranks.parameters_of({model.n_layers, true, true, 1});
  m.kv_cache = kv_bytes * 2 * d(model.n_layers) * ranks.r.kv * d(batch) * d(tokens);
  return m;
}

}  // namespace dsllm::sim
