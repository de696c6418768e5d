#include "sim/scenario.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "ref/core/error.hpp"

namespace dsllm::sim {

namespace {

constexpr std::array<std::pair<std::string_view, ScheduleKind>, 6> schedules{{
    {"gpipe", ScheduleKind::gpipe},
    {"1f1b", ScheduleKind::one_f_one_b},
    {"interleaved", ScheduleKind::interleaved},
    {"zb-h1", ScheduleKind::zb_h1},
    {"zb-h2", ScheduleKind::zb_h2},
    {"dualpipe", ScheduleKind::dualpipe},
}};

constexpr std::array<std::pair<std::string_view, Recompute>, 3> recomputes{{
    {"none", Recompute::none},
    {"selective", Recompute::selective},
    {"full", Recompute::full},
}};

template <class Table, class Value>
std::string_view name_of(const Table& table, Value value) {
  for (const auto& [name, v] : table)
    if (v == value) return name;
  return "?";
}

template <class Table>
auto find(const Table& table, const char* what, std::string_view wanted) {
  std::string names;
  for (const auto& [name, value] : table) {
    if (name == wanted) return value;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  throw ValueError(what, "one of " + names, std::string(wanted));
}

}  // namespace

std::string_view to_string(ScheduleKind kind) {
  return name_of(schedules, kind);
}
std::string_view to_string(Recompute recompute) {
  return name_of(recomputes, recompute);
}
ScheduleKind schedule_from_string(std::string_view name) {
  return find(schedules, "schedule", name);
}
Recompute recompute_from_string(std::string_view name) {
  return find(recomputes, "recompute", name);
}

Split split_layers(const Model& m, const Layout& layout) {
  const int64_t parts = layout.pp * layout.interleave;
  if (parts == 1) return {1, m.n_layers, 0, 0};
  // FLOPs of the head in layers: both are twice their parameters a token.
  const double d = static_cast<double>(m.d_model);
  const double layer = 2 * d * static_cast<double>(m.q_dim() + m.kv_dim()) +
                       (m.gated ? 3 : 2) * d * static_cast<double>(m.d_ff);
  const double head = static_cast<double>(m.vocab_size) * d / layer;
  Split best;
  double slowest = std::numeric_limits<double>::infinity();
  for (int64_t last = m.n_layers / parts; last >= 0; --last) {
    const int64_t rest = m.n_layers - last, others = parts - 1;
    const int64_t longest = (rest + others - 1) / others;
    const double time = std::max(static_cast<double>(longest), static_cast<double>(last) + head);
    if (!(time < slowest)) break;  // fewer layers there only make the others longer
    slowest = time;
    best = {parts, last, rest / others, rest % others};
  }
  return best;
}

int64_t layers_of_chunk(const Model& model, const Layout& layout, int64_t stage, int64_t chunk) {
  return split_layers(model, layout).layers(chunk * layout.pp + stage);
}

int64_t layers_of_stage(const Model& model, const Layout& layout, int64_t stage) {
  const Split split = split_layers(model, layout);
  int64_t layers = 0;
  for (int64_t chunk = 0; chunk < layout.interleave; ++chunk)
    layers += split.layers(chunk * layout.pp + stage);
  return layers;
}

Machine machine_of(const Cluster& cluster, const Recipe& recipe) {
  const Gpu& gpu = find_gpu(cluster.gpu);
  const auto chosen = [&](double given, double table, const char* what) {
    if (given > 0) return given;
    if (table > 0) return table;
    throw ValueError("cluster",
                     std::string("a figure for ") + what + ", which the table of GPUs lacks for " + gpu.name,
                     "0");
  };
  Machine m;
  m.gpus = cluster.gpus;
  m.gpus_per_node = cluster.gpus_per_node > 0 ? cluster.gpus_per_node : std::max(1, gpu.scale_up_gpus);
  m.flops_per_s =
      chosen(cluster.flops_per_s, (recipe.precision == "fp8" ? gpu.fp8_tflops : gpu.bf16_tflops) * 1e12,
             "flops_per_s");
  m.hbm_bytes = chosen(cluster.hbm_bytes, gpu.hbm_bytes, "hbm_bytes");
  m.hbm_bytes_per_s = chosen(cluster.hbm_bytes_per_s, gpu.hbm_bytes_per_s, "hbm_bytes_per_s");
  // One GPU needs no link at all.
  const bool many = m.gpus > 1;
  m.node_bytes_per_s = !many || m.gpus_per_node == 1
                           ? std::max(cluster.node_bytes_per_s, gpu.nvlink_bytes_per_s)
                           : chosen(cluster.node_bytes_per_s, gpu.nvlink_bytes_per_s, "node_bytes_per_s");
  m.network_bytes_per_s =
      m.gpus <= m.gpus_per_node
          ? std::max(cluster.network_bytes_per_s, gpu.scale_out_bytes_per_s)
          : chosen(cluster.network_bytes_per_s, gpu.scale_out_bytes_per_s, "network_bytes_per_s");
  m.compute_capability = gpu.compute_capability;
  m.sm_count = gpu.sm_count;
  return m;
}

}  // namespace dsllm::sim
