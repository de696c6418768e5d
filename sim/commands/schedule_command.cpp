#include "sim/commands/schedule_command.hpp"

#include <fmt/format.h>

#include <cmath>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "ref/core/json.hpp"
#include "sim/commands/text.hpp"
#include "sim/export/pipeline_trace.hpp"
#include "sim/schedule/closed_form.hpp"
#include "sim/schedule/engine.hpp"

namespace dsllm::sim {

Pipeline pipeline_of(const ScheduleCommand& o) {
  Pipeline p;
  p.kind = schedule_from_string(o.schedule);
  p.stages = o.stages;
  p.micro_batches = o.micro_batches;
  p.chunks = o.chunks;
  // Sizes before vectors: of a million stages nobody wants the list.
  const auto range = [](const char* field, int64_t value, int64_t maximum) {
    if (value < 1 || value > maximum)
      throw ConfigError(field, fmt::format("a number from 1 to {}", maximum), fmt::to_string(value));
  };
  range("stages", o.stages, 4096);
  range("micro_batches", o.micro_batches, 1 << 20);
  range("interleave", o.chunks, 4096);
  if (o.stages * o.chunks > (int64_t{1} << 26) / o.micro_batches)
    throw ConfigError("stages * interleave * micro_batches", fmt::format("at most {}", 1 << 26),
                      fmt::format("{} * {} * {}", o.stages, o.chunks, o.micro_batches));
  for (const auto& [field, value] :
       {std::pair{"f", o.f}, {"b", o.b}, {"w", o.w}, {"comm", o.comm}, {"pair", o.pair}})
    if (!(value >= 0 && std::isfinite(value)))
      throw ConfigError(field, "a time in seconds, at least 0", fmt::to_string(value));
  if (!(o.f + o.b + o.w > 0)) throw ConfigError("f + b + w", "a pass that takes time", "0 s");
  if (p.kind != ScheduleKind::interleaved && o.chunks != 1)
    throw ConfigError("interleave", "1 chunk a stage for a schedule that is not interleaved",
                      fmt::to_string(o.chunks));
  // A chunk is a v-th of the stage; DualPipe's stages have two whole parts, and a micro-batch passes one of them.
  p.chunks = chunks_of(p);
  const double share = p.kind == ScheduleKind::interleaved ? 1 / static_cast<double>(o.chunks) : 1;
  p.times.assign(static_cast<size_t>(p.stages * p.chunks), {o.f * share, o.b * share, o.w * share});
  p.send_s = o.comm;
  p.overlapped_pair_s = o.pair;
  validate(p);
  return p;
}

void schedule_command(const ScheduleCommand& o, std::ostream& out) {
  check_width(o.width);
  const Pipeline p = pipeline_of(o);
  const ClosedForm form = closed_form(p);
  // A list of all events takes some 200 bytes for each pass; the run by itself needs a tenth of that.
  const bool can_list = p.stages * p.chunks * p.micro_batches <= 1 << 20;
  const bool wants_files = !o.trace.empty() || !o.csv.empty();
  if (wants_files && !can_list)
    throw ConfigError("trace, csv", "at most 2^20 forward passes to write down",
                      with_commas(p.stages * p.chunks * p.micro_batches));
  const bool draws = o.width > 0 && !o.json && can_list;
  Timeline timeline;
  const PipelineRun run = run_pipeline(p, {}, draws || wants_files ? &timeline : nullptr);
  double peak = 0, least = HUGE_VAL;
  for (const RankRun& rank : run.ranks) {
    peak = std::max(peak, rank.peak_bytes / static_cast<double>(chunks_of(p)));
    least = std::min(least, rank.peak_bytes / static_cast<double>(chunks_of(p)));
  }

  if (!o.trace.empty()) write_file_atomically(o.trace, chrome_trace(timeline, o.schedule));
  if (!o.csv.empty()) write_file_atomically(o.csv, events_csv(timeline));
  if (o.json) {
    Json ranks = Json::array();
    for (const RankRun& r : run.ranks)
      ranks.push_back({{"busy_s", r.busy_s},
                       {"idle_s", r.idle_s},
                       {"first_start_s", r.first_start_s},
                       {"last_end_s", r.last_end_s},
                       {"peak_chunks_in_flight", r.peak_bytes}});
    const Json json{{"schedule", o.schedule},
                    {"stages", p.stages},
                    {"micro_batches", p.micro_batches},
                    {"chunks", p.chunks},
                    {"f_s", o.f},
                    {"b_s", o.b},
                    {"w_s", o.w},
                    {"send_s", o.comm},
                    {"formula",
                     {{"bubble", form.formula},
                      {"with_numbers", form.with_numbers},
                      {"rate", form.rate},
                      {"bubble_s", form.bubble_s},
                      {"iteration_s", form.iteration_s},
                      {"bubble_of_total", form.bubble_of_total},
                      {"bubble_of_ideal", form.bubble_of_ideal},
                      {"peak_in_flight", form.peak_in_flight},
                      {"source", form.source}}},
                    {"engine",
                     {{"makespan_s", run.makespan_s},
                      {"span_s", run.span_s},
                      {"bubble_of_total", run.bubble_of_total},
                      {"bubble_of_ideal", run.bubble_of_ideal},
                      {"bubble_of_span", run.bubble_of_span},
                      {"events", run.events()},
                      {"ranks", std::move(ranks)}}}};
    out << json.dump(2) << "\n";
    return;
  }

  out << fmt::format("{}: {} stages", o.schedule, p.stages);
  if (p.chunks > 1) out << fmt::format(" of {} chunks", p.chunks);
  out << fmt::format(", {} micro-batches, F = {}, B = {}, W = {}, a send {}\n\n", p.micro_batches,
                     seconds_text(o.f), seconds_text(o.b), seconds_text(o.w), seconds_text(o.comm));
  out << "By formula (equal stages, sends for nothing; " << form.source << ")\n";
  for (const std::string& line : {form.formula, form.with_numbers, form.rate, form.peak})
    out << "  " << line << "\n";
  out << fmt::format("  iteration = {} = {} of passes + {} of bubble\n\n", seconds_text(form.iteration_s),
                     seconds_text(form.iteration_s - form.bubble_s), seconds_text(form.bubble_s));
  out << fmt::format("By the engine ({} events)\n", with_commas(run.events()));
  out << fmt::format("  from the first pass to the last: {}; of the rank that takes longest: {}\n",
                     seconds_text(run.makespan_s), seconds_text(run.span_s));
  out << fmt::format("  bubble = {} of the whole, {} of the passes' time, {} of the longest rank's span\n",
                     percent_text(run.bubble_of_total), percent_text(run.bubble_of_ideal),
                     percent_text(run.bubble_of_span));
  out << fmt::format(
      "  activations: {:.3g} micro-batches of a stage on the rank with most, {:.3g} on that with fewest\n",
      peak, least);
  if (draws) out << "\n" << timeline_text(timeline, {.width = o.width});
}

}  // namespace dsllm::sim
