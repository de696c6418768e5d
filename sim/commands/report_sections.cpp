#include "sim/commands/report_sections.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/commands/text.hpp"
#include "sim/model_cost.hpp"

namespace dsllm::sim {

namespace {

struct Part {
  std::string name;
  int64_t parameters;    // in the whole model
  double forward_flops;  // of a token, in the whole model, causal attention
};

std::vector<Part> parts_of(const Model& m) {
  const Parameters p = parameters(m);
  const LayerFlops f = forward_layer_flops_per_token(m, true);
  const auto n = static_cast<double>(m.n_layers);
  std::vector<Part> parts = {
      {"embedding", p.embedding, 0},
      {"queries, keys, values", m.n_layers * p.layer.qkv, n * f.qkv},
      {"attention's scores and values", 0, n * f.attention_core},
      {"attention output", m.n_layers * p.layer.attention_output, n * f.attention_output},
      {m.gated ? "MLP, gate and up" : "MLP, up", m.n_layers * p.layer.mlp_in, n * f.mlp_in},
      {"MLP, down", m.n_layers * p.layer.mlp_down, n * f.mlp_down},
      {"norms", m.n_layers * p.layer.norms + p.final_norm, 0},
      {m.tied ? "head (is the embedding)" : "head", p.head, forward_head_flops_per_token(m)}};
  if (p.positions > 0) parts.push_back({"positions", p.positions, 0});
  if (p.layer.split_bias + p.layer.whole_bias > 0)
    parts.push_back({"biases", m.n_layers * (p.layer.split_bias + p.layer.whole_bias), 0});
  return parts;
}

struct Counted {
  const char* name;
  double flops;  // of a token, forward and backward
};

std::vector<Counted> counts_of(const Model& m) {
  return {{"causal attention, with the head", flops_per_token(m, {}).total()},
          {"full attention, with the head", flops_per_token(m, {.causal = false}).total()},
          {"the paper's M = 72 n d^2 + 12 n d s", paper_m(m)},
          {"6 N1 = 72 n d^2", paper_6n1(m)},
          {"6 N2 = 72 n d^2 + 6 V d", paper_6n2(m)},
          {"PaLM's 6 N + 12 L H Q T", palm_flops_per_token(m)}};
}

struct Column {
  const char* title;
  const char* json;
  double RankMemory::*bytes;
};
constexpr Column columns[] = {{"weights", "weights", &RankMemory::weights},
                              {"gradients", "gradients", &RankMemory::gradients},
                              {"optimizer", "optimizer", &RankMemory::optimizer},
                              {"activations", "activations", &RankMemory::activations},
                              {"logits", "logits", &RankMemory::logits},
                              {"buffers", "buffers", &RankMemory::buffers},
                              {"allowance", "allowance", &RankMemory::allowance},
                              {"CUDA", "context", &RankMemory::context}};

}  // namespace

void print_model(std::ostream& out, const Model& m) {
  out << fmt::format(
      "Model: {} layers, d_model {}, {} heads of {} ({} for keys and values), d_ff {}, vocabulary {}\n",
      m.n_layers, m.d_model, m.n_heads, m.d_head, m.n_kv_heads, m.d_ff, m.vocab_size);
  TextTable table({"part", "parameters", "share", "forward FLOPs a token"});
  const auto total = static_cast<double>(parameters(m).total());
  double forward = 0;
  for (const Part& p : parts_of(m)) {
    forward += p.forward_flops;
    table.add({p.name, p.parameters > 0 ? with_commas(p.parameters) : "-",
               p.parameters > 0 ? percent_text(static_cast<double>(p.parameters) / total) : "-",
               p.forward_flops > 0 ? flops_text(p.forward_flops) : "-"});
  }
  table.add({"total", with_commas(parameters(m).total()), "100.0%", flops_text(forward)});
  table.print(out);
  out << "FLOPs of a token, forward and backward, nothing computed twice, by convention\n";
  TextTable counts({"what is counted", "FLOPs a token"});
  for (const Counted& c : counts_of(m)) counts.add({c.name, flops_text(c.flops)});
  counts.print(out);
}

Json model_json(const Model& m) {
  Json parts = Json::array();
  for (const Part& p : parts_of(m))
    parts.push_back({{"part", p.name},
                     {"parameters", p.parameters},
                     {"forward_flops_per_token_causal", p.forward_flops}});
  Json counts = Json::array();
  for (const Counted& c : counts_of(m))
    counts.push_back({{"convention", c.name}, {"flops_per_token", c.flops}});
  return {{"parameters", parameters(m).total()}, {"parts", std::move(parts)}, {"flops", std::move(counts)}};
}

void print_memory(std::ostream& out, const Scenario& scenario, const Machine& machine,
                  const std::vector<RankMemory>& rows) {
  out << fmt::format("Memory of a rank, by stage ({} each; GB = 1e9 bytes)\n", bytes_text(machine.hbm_bytes));
  std::vector<std::string> header = {"stage", "layers", "in flight"};
  for (const Column& c : columns) header.push_back(c.title);
  header.push_back("total");
  header.push_back("");
  TextTable table(std::move(header), {11});
  size_t worst = 0;
  for (size_t s = 0; s < rows.size(); ++s) {
    if (rows[s].total() > rows[worst].total()) worst = s;
    const auto stage = static_cast<int64_t>(s);
    std::vector<std::string> cells = {fmt::to_string(s),
                                      fmt::to_string(layers_of_stage(scenario.model, scenario.layout, stage)),
                                      fmt::format("{:.3g}", rows[s].in_flight)};
    for (const Column& c : columns) cells.push_back(fmt::format("{:.2f}", rows[s].*c.bytes / 1e9));
    cells.push_back(fmt::format("{:.2f}", rows[s].total() / 1e9));
    cells.push_back(rows[s].total() > machine.hbm_bytes ? "does not fit" : "");
    table.add(std::move(cells));
  }
  table.print(out);
  const std::string why = why_it_does_not_fit(rows[worst], machine, static_cast<int64_t>(worst));
  if (!why.empty())
    out << "  It does not fit: " << why << "\n";
  else
    out << fmt::format("  It fits: stage {} needs most, {} of {}\n", worst, bytes_text(rows[worst].total()),
                       bytes_text(machine.hbm_bytes));
  out << fmt::format("  allowance: {} of what comes and goes, lost to fragmentation{}\n",
                     percent_text(memory_constants.fragmentation),
                     scenario.recipe.eager ? ", and the copies of kernels that are not fused" : "");
}

void print_activations(std::ostream& out, const Scenario& scenario) {
  out << "Activations: what one micro-batch leaves in one layer of a rank\n";
  TextTable table({"tensor", "bytes", "kept until"}, {2});
  double total = 0;
  for (const TensorBytes& t : activation_tensors(scenario)) {
    table.add({t.name, bytes_text(t.bytes), t.lifetime});
    total += t.bytes;
  }
  table.add({"together", bytes_text(total), ""});
  table.print(out);
}

Json activations_json(const Scenario& scenario) {
  Json tensors = Json::array();
  for (const TensorBytes& t : activation_tensors(scenario))
    tensors.push_back({{"tensor", t.name}, {"bytes", t.bytes}, {"kept_until", t.lifetime}});
  return tensors;
}

Json memory_json(const Machine& machine, const std::vector<RankMemory>& rows) {
  Json stages = Json::array();
  for (size_t s = 0; s < rows.size(); ++s) {
    Json row{{"stage", s}, {"micro_batches_in_flight", rows[s].in_flight}};
    for (const Column& c : columns) row[std::string(c.json) + "_bytes"] = rows[s].*c.bytes;
    row["total_bytes"] = rows[s].total();
    row["why_it_does_not_fit"] = why_it_does_not_fit(rows[s], machine, static_cast<int64_t>(s));
    stages.push_back(std::move(row));
  }
  return {{"hbm_bytes", machine.hbm_bytes}, {"stages", std::move(stages)}};
}

Generation generation_of(const Scenario& s, const Machine& machine) {
  const InferenceMemory one = inference_memory(s.model, s.layout.tp, 1, s.model.seq_len);
  const double left = machine.hbm_bytes - memory_constants.context_bytes - one.weights;
  return {one.weights, one.kv_cache / static_cast<double>(s.model.seq_len),
          one.kv_cache > 0 && left > 0 ? static_cast<int64_t>(left / one.kv_cache) : 0};
}

void print_generation(std::ostream& out, const Scenario& s, const Generation& g) {
  out << fmt::format("Generation on tp {}, bf16\n", s.layout.tp);
  out << fmt::format("  a rank holds {} of weights and {} of keys and values a token: {}\n",
                     bytes_text(g.weight_bytes), bytes_text(g.cache_bytes_per_token),
                     g.sequences > 0 ? fmt::format("{} sequences of {} tokens at a time",
                                                   with_commas(g.sequences), with_commas(s.model.seq_len))
                                     : std::string("not one sequence fits"));
}

Json generation_json(const Generation& g) {
  return {{"weight_bytes", g.weight_bytes},
          {"cache_bytes_per_token", g.cache_bytes_per_token},
          {"sequences", g.sequences}};
}

Training training_of(const Scenario& s, double step_s, double tokens, double price_per_gpu_hour) {
  Training t;
  t.tokens = tokens;
  t.steps = tokens / (static_cast<double>(s.layout.global_batch) * static_cast<double>(s.model.seq_len));
  t.seconds = t.steps * step_s;
  t.gpu_hours = t.seconds / 3600 * static_cast<double>(s.cluster.gpus);
  t.cost = t.gpu_hours * price_per_gpu_hour;
  return t;
}

void print_training(std::ostream& out, const Scenario& s, const Training& t, double price_per_gpu_hour) {
  out << fmt::format("Training on {} tokens\n", power_text(t.tokens));
  out << fmt::format("  {} steps of {} x {} tokens: {}, {} GPU hours\n",
                     with_commas(static_cast<int64_t>(t.steps + 0.5)), with_commas(s.layout.global_batch),
                     with_commas(s.model.seq_len), duration_text(t.seconds),
                     with_commas(static_cast<int64_t>(t.gpu_hours + 0.5)));
  if (price_per_gpu_hour > 0)
    out << fmt::format("  at {:.4g} a GPU hour: {}\n", price_per_gpu_hour,
                       with_commas(static_cast<int64_t>(t.cost + 0.5)));
}

Json training_json(const Training& t) {
  return {{"tokens", t.tokens},
          {"steps", t.steps},
          {"seconds", t.seconds},
          {"gpu_hours", t.gpu_hours},
          {"cost", t.cost}};
}

}  // namespace dsllm::sim
