#include "sim/scenario.hpp"

#include <algorithm>
#include <array>
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

int64_t layers_of_chunk(const Model& model, const Layout& layout, int64_t stage, int64_t chunk) {
  const int64_t parts = layout.pp * layout.interleave;
  const int64_t part = chunk * layout.pp + stage;
  return model.n_layers / parts + (part < model.n_layers % parts ? 1 : 0);
}

int64_t layers_of_stage(const Model& model, const Layout& layout, int64_t stage) {
  int64_t layers = 0;
  for (int64_t chunk = 0; chunk < layout.interleave; ++chunk)
    layers += layers_of_chunk(model, layout, stage, chunk);
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
