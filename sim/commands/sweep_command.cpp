#include <fmt/format.h>

#include "ref/core/error.hpp"
#include "ref/core/fields_json.hpp"
#include "ref/core/file.hpp"
#include "sim/commands/cost.hpp"
#include "sim/commands/search_command.hpp"
#include "sim/commands/text.hpp"
#include "sim/estimate.hpp"

namespace dsllm::sim {

namespace {

// The numbers of GPUs that the options ask for.
std::vector<int64_t> counts_of(const SweepCommand& o, int64_t from) {
  std::vector<int64_t> counts = o.counts;
  if (counts.empty()) {
    const int64_t to = o.to > 0 ? o.to : 8 * from;
    if (to < from)
      throw ConfigError("to", fmt::format("at least {}, where the sweep starts", from), fmt::to_string(to));
    for (int64_t n = from; n <= to; n *= 2) counts.push_back(n);
  }
  for (const int64_t n : counts)
    if (n < 1 || n > 1 << 24)
      throw ConfigError("counts", "numbers of GPUs from 1 to 16777216", fmt::to_string(n));
  return counts;
}

struct Row {
  SweepPoint point;
  double mfu = 0;
};

Json json_of(const Row& row) {
  const SweepPoint& p = row.point;
  Json json{{"gpus", p.gpus}, {"global_batch", p.global_batch}, {"layout", nullptr}};
  if (!p.best) return json;
  json["layout"] = fields_to_json(p.best->layout);
  json["step_s"] = p.best->cost.step_s;
  json["tokens_per_s"] = p.tokens_per_s;
  json["speedup"] = p.speedup;
  json["efficiency"] = p.efficiency;
  json["mfu_causal"] = row.mfu;
  json["worst_rank_bytes"] = p.best->cost.bytes;
  return json;
}

// For a reader, or with raw numbers for a program. A point without a layout has empty cells.
TextTable table_of(const std::vector<Row>& rows, bool raw) {
  std::vector<std::string> header =
      raw ? std::vector<std::string>{"gpus",       "step_s",     "tokens_per_s",    "speedup",
                                     "efficiency", "mfu_causal", "worst_rank_bytes"}
          : std::vector<std::string>{"GPUs",     "batch",      "step time", "tokens/s",
                                     "speed-up", "efficiency", "MFU",       "memory"};
  for (const std::string& name : raw ? layout_fields() : layout_header()) header.push_back(name);
  TextTable table(header);
  for (const Row& row : rows) {
    const SweepPoint& p = row.point;
    std::vector<std::string> cells;
    if (raw)
      cells = {fmt::to_string(p.gpus)};
    else
      cells = {with_commas(p.gpus), with_commas(p.global_batch)};
    if (p.best) {
      const Cost& cost = p.best->cost;
      const std::vector<std::string> figures =
          raw ? std::vector{fmt::to_string(cost.step_s), fmt::to_string(p.tokens_per_s),
                            fmt::to_string(p.speedup),   fmt::to_string(p.efficiency),
                            fmt::to_string(row.mfu),     fmt::to_string(cost.bytes)}
              : std::vector{seconds_text(cost.step_s),
                            with_commas(static_cast<int64_t>(p.tokens_per_s)),
                            fmt::format("{:.2f}", p.speedup),
                            percent_text(p.efficiency),
                            percent_text(row.mfu),
                            bytes_text(cost.bytes)};
      cells.insert(cells.end(), figures.begin(), figures.end());
      const std::vector<std::string> layout =
          raw ? layout_values(p.best->layout) : layout_cells(p.best->layout);
      cells.insert(cells.end(), layout.begin(), layout.end());
    } else if (!raw) {
      cells.push_back("nothing fits");
    }
    cells.resize(header.size());
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace

void sweep_command(const SweepCommand& o, std::ostream& out) {
  const Scenario base = read_scenario(o.scenario);
  base.model.validate();
  base.cluster.validate();
  base.recipe.validate();
  std::vector<Row> rows;
  for (const SweepPoint& p : sweep(base, choices_of(o.scenario), o.weak ? Scaling::weak : Scaling::strong,
                                   counts_of(o, base.cluster.gpus), estimated_cost)) {
    Scenario s = base;
    s.cluster.gpus = p.gpus;
    s.layout.global_batch = p.global_batch;
    rows.push_back(
        {p, p.best ? model_flops_utilization(s, machine_of(s.cluster, s.recipe), p.best->cost.step_s, true)
                   : 0});
  }
  if (!o.csv.empty()) write_file_atomically(o.csv, table_of(rows, true).csv());
  if (o.json) {
    Json points = Json::array();
    for (const Row& row : rows) points.push_back(json_of(row));
    out << Json{{"scaling", o.weak ? "weak" : "strong"}, {"points", std::move(points)}}.dump(2) << "\n";
    return;
  }
  out << fmt::format(
      "{} on {}: {}, the best layout at each number of GPUs (by the estimate)\n", name_of_model(base.model),
      base.cluster.gpu,
      o.weak ? "weak scaling (the batch grows with the GPUs)" : "strong scaling (the same global batch)");
  table_of(rows, false).print(out);
}

}  // namespace dsllm::sim
