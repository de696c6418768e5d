#include "sim/commands/report_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "sim/commands/report_sections.hpp"
#include "sim/commands/step_run.hpp"
#include "sim/commands/text.hpp"
#include "sim/export/pipeline_trace.hpp"
#include "sim/model_cost.hpp"
#include "sim/schedule/closed_form.hpp"

namespace dsllm::sim {

namespace {

struct Share {
  const char* name;
  const char* json;
  double StepTime::*seconds;
};
constexpr Share shares[] = {{"passes of the slowest stage", "passes_s", &StepTime::passes_s},
                            {"bubble: waiting for other stages", "bubble_s", &StepTime::bubble_s},
                            {"gradients, where nothing hides them", "gradients_s", &StepTime::gradients_s},
                            {"new weights, where nothing hides them", "weights_s", &StepTime::weights_s},
                            {"optimizer", "optimizer_s", &StepTime::optimizer_s},
                            {"the program around it", "other_s", &StepTime::other_s}};

// The same pipeline with sends for nothing and all stages as the slowest: what the published formulas are about.
void print_bubble(std::ostream& out, const Scenario& s, const StepRun& step) {
  if (s.layout.pp == 1) {
    out << "Pipeline: one stage, no bubble\n";
    return;
  }
  const ClosedForm form = closed_form(step.pipeline);
  out << fmt::format("Pipeline: {} by the formulas for equal stages ({})\n", to_string(s.layout.schedule),
                     form.source);
  for (const std::string& line : {form.formula, form.with_numbers, form.rate, form.peak})
    out << "  " << line << "\n";
  out << fmt::format("  run event by event, with unequal stages and sends of {}: {} of the passes' span\n",
                     seconds_text(step.pipeline.send_s),
                     percent_text(s.layout.schedule == ScheduleKind::zb_h2 ? step.run.bubble_of_span
                                                                           : step.run.bubble_of_total));
}

void print_time(std::ostream& out, const Scenario& s, const Machine& machine, const StepRun& step,
                const Estimate& estimate) {
  out << "Time of a step\n";
  TextTable table({"by the formulas", "time", "share"});
  for (const Share& share : shares)
    table.add({share.name, seconds_text(estimate.time.*share.seconds),
               percent_text(estimate.time.*share.seconds / estimate.step_s)});
  table.add({"together", seconds_text(estimate.step_s), "100.0%"});
  table.print(out);
  out << fmt::format("  run event by event ({} events): {}, which counts from here on\n\n",
                     with_commas(step.run.events()), seconds_text(step.step_s));

  const double tokens = tokens_per_s(s, step.step_s);
  const double causal = step_flops(s.model, s.layout.global_batch, {});
  const auto gpus = static_cast<double>(machine.gpus);
  out << "Speed\n";
  out << fmt::format("  tokens/s = {} x {} / {:.4g} s = {}, {} a GPU\n", with_commas(s.layout.global_batch),
                     with_commas(s.model.seq_len), step.step_s, with_commas(std::llround(tokens)),
                     with_commas(std::llround(tokens / gpus)));
  out << fmt::format(
      "  MFU = {} / ({:.4g} s x {} x {}) = {} (model FLOPs, causal attention, with the head)\n",
      flops_text(causal), step.step_s, with_commas(machine.gpus), flop_rate_text(machine.flops_per_s),
      percent_text(model_flops_utilization(s, machine, step.step_s, true)));
  out << fmt::format("  MFU = {} with full attention; HFU = {} (causal, what is computed twice too)\n",
                     percent_text(model_flops_utilization(s, machine, step.step_s, false)),
                     percent_text(hardware_flops_utilization(s, machine, step.step_s, true)));
}

// The beginning of a step, as much of it as fits into `width` columns of a forward pass each; of a step with hundreds of
// micro-batches nothing could be seen in one line.
void print_timeline(std::ostream& out, const StepRun& step, const Timeline& timeline, int64_t width) {
  double unit_s = HUGE_VAL;
  for (const ChunkTimes& t : step.pipeline.times) unit_s = std::min(unit_s, t.forward_s);
  Timeline begin = timeline;
  begin.memory.clear();
  begin.events.clear();
  begin.end_s = std::min(timeline.end_s, static_cast<double>(width) * unit_s);
  for (TimelineEvent e : timeline.events) {
    if (e.start_s >= begin.end_s) continue;
    e.end_s = std::min(e.end_s, begin.end_s);
    e.consumer = -1;  // its index is the whole timeline's
    begin.events.push_back(e);
  }
  out << fmt::format(
      "Timeline of a replica, a row a stage: {} of {}\n",
      begin.end_s < timeline.end_s ? "the first " + seconds_text(begin.end_s) : std::string("all"),
      seconds_text(timeline.end_s));
  out << timeline_text(begin, {.width = width});
}

Json json_of(const Scenario& s, const Machine& machine, const StepRun& step, const Estimate& estimate,
             const Training& training) {
  Json shares_json = Json::object();
  for (const Share& share : shares) shares_json[share.json] = estimate.time.*share.seconds;
  Json ranks = Json::array();
  for (size_t stage = 0; stage < step.run.ranks.size(); ++stage) {
    const RankRun& rank = step.run.ranks[stage];
    ranks.push_back({{"stage", stage},
                     {"busy_s", rank.busy_s},
                     {"idle_s", rank.idle_s},
                     {"end_s", rank.end_s},
                     {"peak_activation_bytes", rank.peak_bytes},
                     {"gradients_s", step.tails[stage].gradients_s},
                     {"weights_s", step.tails[stage].weights_s},
                     {"optimizer_s", step.tails[stage].optimizer_s}});
  }
  Json bubble = nullptr;
  if (s.layout.pp > 1) {
    const ClosedForm form = closed_form(step.pipeline);
    bubble = {{"formula", form.formula},
              {"with_numbers", form.with_numbers},
              {"rate", form.rate},
              {"bubble_of_total", form.bubble_of_total},
              {"source", form.source}};
  }
  return {{"scenario", scenario_to_json(s)},
          {"model", model_json(s.model)},
          {"memory", memory_json(machine, step.memory)},
          {"fits", step.fits},
          {"step_s", step.step_s},
          {"estimate", {{"step_s", estimate.step_s}, {"shares", std::move(shares_json)}}},
          {"pipeline_formula", std::move(bubble)},
          {"engine",
           {{"events", step.run.events()},
            {"passes_s", step.run.passes_s},
            {"bubble_of_total", step.run.bubble_of_total},
            {"bubble_of_ideal", step.run.bubble_of_ideal},
            {"bubble_of_span", step.run.bubble_of_span},
            {"stages", std::move(ranks)}}},
          {"tokens_per_s", tokens_per_s(s, step.step_s)},
          {"mfu_causal", model_flops_utilization(s, machine, step.step_s, true)},
          {"mfu_full", model_flops_utilization(s, machine, step.step_s, false)},
          {"hfu_causal", hardware_flops_utilization(s, machine, step.step_s, true)},
          {"activations_of_a_layer", activations_json(s)},
          {"training", training_json(training)},
          {"generation", generation_json(generation_of(s, machine))}};
}

}  // namespace

void report_command(const ReportCommand& o, std::ostream& out) {
  for (const auto& [field, value, least] :
       {std::tuple{"tokens", o.tokens, 1.0}, std::tuple{"price_per_gpu_hour", o.price_per_gpu_hour, 0.0}})
    if (!(value >= least && std::isfinite(value)))
      throw ConfigError(field, fmt::format("a number, at least {}", least), fmt::to_string(value));
  check_width(o.width);
  const Scenario s = checked(read_scenario(o.scenario));
  const Machine machine = machine_of(s.cluster, s.recipe);
  if (!(o.trace_replicas >= 1 && o.trace_replicas <= s.layout.dp))
    throw ConfigError("trace_replicas", fmt::format("1 to dp = {} replicas", s.layout.dp),
                      fmt::to_string(o.trace_replicas));
  // A list of all passes takes some 200 bytes for each.
  const bool can_list = forward_passes(s) * o.trace_replicas <= 1 << 20;
  const bool wants_files = !o.trace.empty() || !o.csv.empty();
  if (wants_files && !can_list)
    throw ConfigError("trace, csv", "at most 2^20 forward passes in a step to write down",
                      with_commas(forward_passes(s)));
  const bool draws = o.width > 0 && !o.json && s.layout.pp > 1 && can_list;
  Timeline timeline;
  const bool wants_timeline = wants_files || draws;
  const StepRun step = run_step(s, machine, wants_timeline ? &timeline : nullptr);
  const Estimate by_formula = estimate(s, machine);
  const Training training = training_of(s, step.step_s, o.tokens, o.price_per_gpu_hour);

  save_scenario(o.scenario, s);
  if (!o.trace.empty()) {
    std::vector<TraceProcess> replicas;
    for (int64_t r = 0; r < o.trace_replicas; ++r)
      replicas.push_back({fmt::format("replica {} of {}", r, s.layout.dp), &timeline});
    write_file_atomically(o.trace, chrome_trace(replicas));
  }
  if (!o.csv.empty()) write_file_atomically(o.csv, events_csv(timeline));
  if (o.json) {
    out << json_of(s, machine, step, by_formula, training).dump(2) << "\n";
    return;
  }
  out << fmt::format("{} on {} {}: {}, {} in {} each, {} a node\n", name_of_model(s.model),
                     with_commas(machine.gpus), s.cluster.gpu, bytes_text(machine.hbm_bytes),
                     flop_rate_text(machine.flops_per_s), s.recipe.precision, machine.gpus_per_node);
  out << fmt::format("{}\nglobal batch {} sequences of {} tokens: {} micro-batches a replica\n\n",
                     describe_layout(s.layout), with_commas(s.layout.global_batch),
                     with_commas(s.model.seq_len), with_commas(s.layout.micro_batches()));
  print_model(out, s.model);
  out << "\n";
  print_memory(out, s, machine, step.memory);
  out << "\n";
  print_activations(out, s);
  out << "\n";
  print_time(out, s, machine, step, by_formula);
  out << "\n";
  print_bubble(out, s, step);
  out << "\n";
  print_training(out, s, training, o.price_per_gpu_hour);
  out << "\n";
  print_generation(out, s, generation_of(s, machine));
  if (draws) {
    out << "\n";
    print_timeline(out, step, timeline, o.width);
  }
}

}  // namespace dsllm::sim
