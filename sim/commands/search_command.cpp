#include "sim/commands/search_command.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ref/core/error.hpp"
#include "ref/core/fields_json.hpp"
#include "ref/core/file.hpp"
#include "sim/commands/cost.hpp"
#include "sim/commands/text.hpp"
#include "sim/estimate.hpp"

namespace dsllm::sim {

namespace {

// How many of the estimate's best the engine judges: several times what is shown, since it may change their order.
constexpr int64_t engine_candidates = 4;
// Layouts that do not fit, with what they lack.
constexpr int64_t shown_too_large = 3;
// Points of the front in the text, at most; --json has all.
constexpr size_t shown_front = 12;

void print_broken(std::ostream& out, const std::vector<BrokenRule>& rules) {
  for (const BrokenRule& rule : rules) {
    const Layout& l = rule.example;
    std::string example = fmt::format("dp {}, tp {}, pp {}", l.dp, l.tp, l.pp);
    if (l.interleave > 1) example += fmt::format(", {} chunks", l.interleave);
    if (l.micro_batch > 1) example += fmt::format(", micro-batch {}", l.micro_batch);
    out << fmt::format("  {:>10}  {} (not {})\n", with_commas(rule.count), rule.rule, example);
  }
}

Json json_of(const std::vector<BrokenRule>& rules) {
  Json list = Json::array();
  for (const BrokenRule& r : rules)
    list.push_back({{"rule", r.rule}, {"count", r.count}, {"example", fields_to_json(r.example)}});
  return list;
}

struct Row {
  const Candidate& candidate;
  double mfu, rate;
};

Row row_of(const Scenario& base, const Machine& machine, const Candidate& c) {
  return {c, model_flops_utilization(base, machine, c.cost.step_s, true), tokens_per_s(base, c.cost.step_s)};
}

Json json_of(const Row& r) {
  return {{"layout", fields_to_json(r.candidate.layout)},
          {"step_s", r.candidate.cost.step_s},
          {"mfu_causal", r.mfu},
          {"tokens_per_s", r.rate},
          {"worst_rank_bytes", r.candidate.cost.bytes}};
}

TextTable table_of(const Scenario& base, const Machine& machine, const std::vector<Candidate>& candidates,
                   size_t count) {
  std::vector<std::string> header = {"", "step time", "MFU", "tokens/s", "memory"};
  for (const std::string& name : layout_header()) header.push_back(name);
  TextTable table(std::move(header));
  for (size_t i = 0; i < std::min(count, candidates.size()); ++i) {
    const Row r = row_of(base, machine, candidates[i]);
    std::vector<std::string> cells = {fmt::to_string(i + 1), seconds_text(candidates[i].cost.step_s),
                                      percent_text(r.mfu), with_commas(static_cast<int64_t>(r.rate)),
                                      bytes_text(candidates[i].cost.bytes)};
    for (const std::string& cell : layout_cells(candidates[i].layout)) cells.push_back(cell);
    table.add(std::move(cells));
  }
  return table;
}

// The same for programs: numbers without units, whose names have them.
std::string csv_of(const Scenario& base, const Machine& machine, const std::vector<Candidate>& candidates) {
  std::vector<std::string> header = {"step_s", "mfu_causal", "tokens_per_s", "worst_rank_bytes"};
  for (const std::string& name : layout_fields()) header.push_back(name);
  TextTable table(std::move(header));
  for (const Candidate& c : candidates) {
    const Row r = row_of(base, machine, c);
    std::vector<std::string> cells = {fmt::to_string(c.cost.step_s), fmt::to_string(r.mfu),
                                      fmt::to_string(r.rate), fmt::to_string(c.cost.bytes)};
    for (const std::string& cell : layout_values(c.layout)) cells.push_back(cell);
    table.add(std::move(cells));
  }
  return table.csv();
}

// A front has many points that differ by little: those that take at least 5% less memory than the one before.
std::vector<Candidate> thinned(const std::vector<Candidate>& front) {
  std::vector<Candidate> shown;
  for (const Candidate& c : front)
    if (shown.size() < shown_front && (shown.empty() || c.cost.bytes <= 0.95 * shown.back().cost.bytes))
      shown.push_back(c);
  return shown;
}

// What a search has to say when nothing is left to rank.
void check_something(const LayoutSpace& space, const SearchResult& result) {
  if (result.fit + result.does_not_fit > 0) return;
  std::string rules;
  std::vector<BrokenRule> broken = space.broken();
  add_broken_rules(broken, result.broken);
  for (const BrokenRule& rule : broken)
    rules += fmt::format("{}{} ({})", rules.empty() ? "" : "; ", rule.rule, describe_layout(rule.example));
  throw ConfigError("layout", "a space with at least one possible layout",
                    rules.empty() ? "an empty one: these choices leave no layout" : "none, since " + rules);
}

}  // namespace

std::vector<std::string> layout_header() {
  return {"dp", "tp", "pp", "v", "schedule", "micro-batch", "ZeRO", "sp", "recompute"};
}

std::vector<std::string> layout_cells(const Layout& l) {
  return {fmt::to_string(l.dp),
          fmt::to_string(l.tp),
          fmt::to_string(l.pp),
          fmt::to_string(l.interleave),
          l.pp > 1 ? std::string(to_string(l.schedule)) : "-",
          fmt::to_string(l.micro_batch),
          fmt::to_string(l.zero),
          l.sp ? "yes" : "no",
          std::string(to_string(l.recompute))};
}

std::vector<std::string> layout_fields() {
  const Layout any_layout;
  std::vector<std::string> names;
  visit_fields(any_layout, [&](const Field& field, const auto&) { names.push_back(field.name); });
  return names;
}

std::vector<std::string> layout_values(const Layout& layout) {
  std::vector<std::string> values;
  visit_fields(layout, [&](const Field&, const auto& value) { values.push_back(fmt::to_string(value)); });
  return values;
}

int search_command(const SearchCommand& o, std::ostream& out, const Progress::Output& progress_output) {
  if (o.top < 1) throw ConfigError("top", "at least 1 layout", fmt::to_string(o.top));
  const Scenario base = read_scenario(o.scenario);
  base.model.validate();
  base.cluster.validate();
  base.recipe.validate();
  const Machine machine = machine_of(base.cluster, base.recipe);
  const LayoutSpace space(base, choices_of(o.scenario));
  SearchResult result;
  if (space.size() > 0) {
    Progress progress("search", "layouts", space.size(), 0, progress_output);
    result = search(space, estimated_cost,
                    {.top = o.top * engine_candidates, .too_large = shown_too_large, .progress = &progress});
    progress.finish();
  }
  check_something(space, result);
  const size_t judged = result.best.size();
  rerank(space, engine_cost, result.best, result.too_large);
  if (static_cast<int64_t>(result.best.size()) > o.top) result.best.resize(static_cast<size_t>(o.top));
  if (static_cast<int64_t>(result.too_large.size()) > shown_too_large)
    result.too_large.resize(static_cast<size_t>(shown_too_large));

  if (!o.scenario.save.empty()) {
    if (result.best.empty()) throw ConfigError("save", "a layout that fits", "none");
    Scenario best = base;
    best.layout = result.best.front().layout;
    save_scenario(o.scenario, best);
  }
  if (!o.csv.empty()) write_file_atomically(o.csv, csv_of(base, machine, result.best));
  std::vector<std::pair<Layout, std::string>> lacking;
  for (const Candidate& c : result.too_large) {
    Scenario s = base;
    s.layout = c.layout;
    lacking.push_back({c.layout, why_too_large(s, machine)});
  }

  int64_t impossible = result.layouts - result.fit - result.does_not_fit;
  if (o.json) {
    Json json{{"scenario", scenario_to_json(base)},
              {"divisions", space.divisions()},
              {"impossible_divisions", json_of(space.broken())},
              {"layouts", result.layouts},
              {"impossible", impossible},
              {"impossible_by_rule", json_of(result.broken)},
              {"too_large", result.does_not_fit},
              {"fit", result.fit},
              {"best", Json::array()},
              {"best_too_large", Json::array()},
              {"front", Json::array()}};
    for (const Candidate& c : result.best) json["best"].push_back(json_of(row_of(base, machine, c)));
    for (const Candidate& c : result.front) json["front"].push_back(json_of(row_of(base, machine, c)));
    for (size_t i = 0; i < lacking.size(); ++i) {
      Json entry = json_of(row_of(base, machine, result.too_large[i]));
      entry["why"] = lacking[i].second;
      json["best_too_large"].push_back(std::move(entry));
    }
    out << json.dump(2) << "\n";
    return result.best.empty();
  }

  out << fmt::format("{} on {} {} with {} each, global batch {} sequences of {} tokens\n\n",
                     name_of_model(base.model), with_commas(base.cluster.gpus), base.cluster.gpu,
                     bytes_text(machine.hbm_bytes), with_commas(base.layout.global_batch),
                     with_commas(base.model.seq_len));
  int64_t broken_divisions = 0;
  for (const BrokenRule& rule : space.broken()) broken_divisions += rule.count;
  out << fmt::format("{} ways to divide the GPUs into dp x tp x pp, {} of them impossible\n",
                     with_commas(space.divisions()), with_commas(broken_divisions));
  print_broken(out, space.broken());
  out << fmt::format("{} layouts of the others: {} impossible, {} do not fit into memory, {} fit\n",
                     with_commas(result.layouts), with_commas(impossible), with_commas(result.does_not_fit),
                     with_commas(result.fit));
  print_broken(out, result.broken);
  if (result.best.empty()) {
    out << "\nNo layout fits.";
  } else {
    out << fmt::format(
        "\nThe best {} by step time: the estimate's first {}, run by the event engine and ranked again.\n"
        "MFU counts causal attention and the head, nothing twice; memory is that of the fullest rank.\n",
        result.best.size(), judged);
    table_of(base, machine, result.best, result.best.size()).print(out);
    const std::vector<Candidate> shown = thinned(result.front);
    out << "\nTime against memory: no layout is better in both (by the estimate, in steps of at least 5% of "
           "memory)\n";
    table_of(base, machine, shown, shown.size()).print(out);
  }
  if (lacking.empty()) return result.best.empty();
  out << (result.best.empty() ? "\nThe smallest\n" : "\nWhat more memory would buy\n");
  for (size_t i = 0; i < lacking.size(); ++i)
    out << fmt::format("  {} by {}\n    {}\n", seconds_text(result.too_large[i].cost.step_s),
                       describe_layout(lacking[i].first), lacking[i].second);
  return result.best.empty();
}

}  // namespace dsllm::sim
