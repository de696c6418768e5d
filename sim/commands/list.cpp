#include "sim/commands/list.hpp"

#include <fmt/format.h>

#include "ref/core/fields_json.hpp"
#include "ref/core/gpu.hpp"
#include "sim/commands/text.hpp"
#include "sim/model_cost.hpp"
#include "sim/scenario.hpp"

namespace dsllm::sim {

void models_command(const ListOptions& options, std::ostream& out) {
  TextTable table({"model", "parameters", "layers", "d_model", "heads", "kv", "d_ff", "vocabulary",
                   "sequence", "FLOPs a token*"});
  Json json = Json::array();
  for (const std::string& name : model_names()) {
    const Model m = find_model(name);
    const double flops = flops_per_token(m, {.causal = true, .head = true}).total();
    Json entry = fields_to_json(m);
    entry["name"] = name;
    entry["parameters"] = parameters(m).total();
    entry["flops_per_token_causal"] = flops;
    json.push_back(std::move(entry));
    table.add({name, with_commas(parameters(m).total()), fmt::to_string(m.n_layers),
               fmt::to_string(m.d_model), fmt::to_string(m.n_heads), fmt::to_string(m.n_kv_heads),
               fmt::to_string(m.d_ff), fmt::to_string(m.vocab_size), fmt::to_string(m.seq_len),
               flops_text(flops)});
  }
  if (options.json) {
    out << json.dump(2) << "\n";
    return;
  }
  table.print(out, "");
  out << "* forward and backward pass, causal attention, with the head, nothing computed twice\n";
}

void gpus_command(const ListOptions& options, std::ostream& out) {
  TextTable table(
      {"GPU", "bf16, dense", "fp8, dense", "memory", "its bandwidth", "NVLink*", "node", "network*"});
  const auto known = [](double x, const std::string& text) { return x > 0 ? text : std::string("-"); };
  const auto rate = [&](double x) { return known(x, bytes_text(x) + "/s"); };
  Json json = Json::array();
  for (const Gpu& g : all_gpus()) {
    json.push_back({{"name", g.name},
                    {"compute_capability", g.compute_capability},
                    {"bf16_flops_per_s", g.bf16_tflops * 1e12},
                    {"fp8_flops_per_s", g.fp8_tflops * 1e12},
                    {"hbm_bytes", g.hbm_bytes},
                    {"hbm_bytes_per_s", g.hbm_bytes_per_s},
                    {"node_bytes_per_s", g.nvlink_bytes_per_s},
                    {"gpus_per_node", g.scale_up_gpus},
                    {"network_bytes_per_s", g.scale_out_bytes_per_s}});
    table.add({g.name, known(g.bf16_tflops, fmt::format("{:g} TFLOP/s", g.bf16_tflops)),
               known(g.fp8_tflops, fmt::format("{:g} TFLOP/s", g.fp8_tflops)),
               known(g.hbm_bytes, bytes_text(g.hbm_bytes)), rate(g.hbm_bytes_per_s),
               rate(g.nvlink_bytes_per_s), known(g.scale_up_gpus, fmt::to_string(g.scale_up_gpus)),
               rate(g.scale_out_bytes_per_s)});
  }
  if (options.json) {
    out << json.dump(2) << "\n";
    return;
  }
  table.print(out, "");
  out << "* of one GPU, in each direction; -: not published, or the GPU has no such thing. The V100's\n"
         "  products are fp16. A scenario can set every figure: --node-bytes-per-s and so on.\n";
}

}  // namespace dsllm::sim
