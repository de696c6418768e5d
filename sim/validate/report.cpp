// What `validate` prints.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "ref/core/json.hpp"
#include "sim/validate/validate.hpp"

namespace dsllm::sim {

namespace {

std::string percent(double share, bool with_sign = false) {
  return with_sign ? fmt::format("{:+.1f}%", 100 * share) : fmt::format("{:.1f}%", 100 * share);
}
std::string percent(const std::optional<double>& share) {
  return share ? percent(*share) : "-";
}

std::string layout_text(const Layout& l) {
  std::string text = fmt::format("dp {} tp {} pp {}", l.dp, l.tp, l.pp);
  if (l.cp > 1) text += fmt::format(" cp {}", l.cp);
  if (l.pp > 1) text += fmt::format(" {}", to_string(l.schedule));
  if (l.interleave > 1) text += fmt::format(" v {}", l.interleave);
  text += fmt::format(" mb {} x {} zero {}", l.micro_batch, l.micro_batches(), l.zero);
  if (l.sp) text += " sp";
  if (l.recompute != Recompute::none) text += fmt::format(" recompute {}", to_string(l.recompute));
  return text;
}

// "measured", "predicted" and the error, or dashes.
std::string compared(const std::optional<double>& measured, double predicted, double unit, int digits) {
  if (!measured) return fmt::format("{:>10} {:>10.{}f} {:>8}", "-", predicted / unit, digits, "");
  return fmt::format("{:>10.{}f} {:>10.{}f} {:>8}", *measured / unit, digits, predicted / unit, digits,
                     percent(predicted / *measured - 1, true));
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void print_row(const JudgedRow& row, size_t width, std::ostream& out) {
  const Measurement& m = row.measured;
  if (row.left_out()) {
    out << fmt::format("{:<{}}  left out (line {}): {}\n", m.name, width, m.line, row.choices.reason);
    return;
  }
  const auto happened = row.ran_out();
  out << fmt::format("{:<{}} {}  {}  {:<7}  {:<7}  {}\n", m.name, width,
                     compared(m.measured_step_time_s, row.predicted.step_time_s, 1, 3),
                     compared(m.measured_memory_bytes, row.predicted.memory_bytes, 1e9, 1),
                     happened ? (*happened ? "ran out" : "ran") : "-",
                     row.predicted.fits ? "fits" : "too big", layout_text(row.scenario.layout));
  if (row.scenarios > 1)
    out << fmt::format(
        "{:<{}}   of {} layouts {} fit: fastest {:.3f} s, median {:.3f} s, slowest {:.3f} s; searched: {}\n",
        "", width, row.scenarios, row.fitting, row.predicted.step_time_s, row.median_s, row.slowest_s,
        joined(row.choices.searched));
  if (!row.choices.assumed.empty())
    out << fmt::format("{:<{}}   assumed: {}\n", "", width, joined(row.choices.assumed));
}

void print_errors(const char* what, const Judgement& j, const ErrorStatistics& ours,
                  const ErrorStatistics& naive, const std::vector<int64_t>& rows, std::ostream& out) {
  if (ours.count == 0) return;
  const auto line = [&](const char* name, const std::string& a, const std::string& b) {
    out << fmt::format("  {:<28}{:>10}{:>10}\n", name, a, b);
  };
  out << fmt::format("{:<30}{:>10}{:>10}\n", fmt::format("{}, {} rows", what, ours.count), "ours", "naive");
  line("mean error", percent(ours.mean_absolute), percent(naive.mean_absolute));
  line("median error", percent(ours.median_absolute), percent(naive.median_absolute));
  line("largest error", percent(ours.largest_absolute), percent(naive.largest_absolute));
  line("bias (mean, with its sign)", percent(ours.bias, true), percent(naive.bias, true));
  const auto rank = [](const ErrorStatistics& s) {
    return s.rank_correlation ? fmt::format("{:.3f}", *s.rank_correlation) : std::string("-");
  };
  line("rank correlation", rank(ours), rank(naive));
  const auto name_of = [&](const ErrorStatistics& s) {
    return j.rows[static_cast<size_t>(rows[static_cast<size_t>(s.largest)])].measured.name;
  };
  out << fmt::format("  largest: {} (ours), {} (naive)\n", name_of(ours), name_of(naive));
}

void print_oom(const OomStatistics& ours, const OomStatistics& naive, std::ostream& out) {
  if (ours.count() == 0) return;
  const auto line = [&](const std::string& name, const std::optional<double>& a,
                        const std::optional<double>& b) {
    out << fmt::format("  {:<28}{:>10}{:>10}\n", name, percent(a), percent(b));
  };
  out << fmt::format("{:<30}{:>10}{:>10}\n", fmt::format("called right, {} rows", ours.count()), "ours",
                     "naive");
  line(fmt::format("ran out of memory ({})", ours.ran_out), ours.share_of_ran_out(),
       naive.share_of_ran_out());
  line(fmt::format("ran ({})", ours.ran), ours.share_of_ran(), naive.share_of_ran());
  line("both", ours.share_right(), naive.share_right());
  line("balanced (mean of classes)", ours.balanced(), naive.balanced());
}

Json json_of(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json json_of(const ErrorStatistics& s, const std::vector<int64_t>& rows, const Judgement& j) {
  Json json = Json::object();
  json["rows"] = s.count;
  if (s.count == 0) return json;
  json["mean_absolute_error"] = s.mean_absolute;
  json["median_absolute_error"] = s.median_absolute;
  json["largest_absolute_error"] = s.largest_absolute;
  json["largest_at"] = j.rows[static_cast<size_t>(rows[static_cast<size_t>(s.largest)])].measured.name;
  json["bias"] = s.bias;
  json["rank_correlation"] = json_of(s.rank_correlation);
  return json;
}

Json json_of(const Score& score, const Judgement& j) {
  return {{"step_time", json_of(score.time, score.time_rows, j)},
          {"memory", json_of(score.memory, score.memory_rows, j)},
          {"out_of_memory",
           {{"ran_out", score.oom.ran_out},
            {"ran_out_called_right", score.oom.ran_out_right},
            {"ran", score.oom.ran},
            {"ran_called_right", score.oom.ran_right},
            {"share_right", json_of(score.oom.share_right())},
            {"share_right_of_ran_out", json_of(score.oom.share_of_ran_out())},
            {"balanced", json_of(score.oom.balanced())}}}};
}

Json json_of(const JudgedRow& row) {
  const Measurement& m = row.measured;
  Json json = Json::object();
  json["name"] = m.name;
  json["line"] = m.line;
  if (row.left_out()) {
    json["left_out"] = row.choices.reason;
    return json;
  }
  json["measured_step_time_s"] = json_of(m.measured_step_time_s);
  json["predicted_step_time_s"] = row.predicted.step_time_s;
  json["median_step_time_s"] = row.median_s;
  json["worst_step_time_s"] = row.slowest_s;
  json["naive_step_time_s"] = row.naive.step_time_s > 0 ? Json(row.naive.step_time_s) : Json(nullptr);
  json["measured_memory_bytes"] = json_of(m.measured_memory_bytes);
  json["predicted_memory_bytes"] = row.predicted.memory_bytes;
  json["naive_memory_bytes"] = row.naive.memory_bytes;
  const auto happened = row.ran_out();
  json["ran_out_of_memory"] = happened ? Json(*happened) : Json(nullptr);
  json["predicted_fits"] = row.predicted.fits;
  json["layouts"] = row.scenarios;
  json["layouts_that_fit"] = row.fitting;
  json["searched"] = row.choices.searched;
  json["assumed"] = row.choices.assumed;
  Json layout = Json::object();
  visit_fields(row.scenario.layout,
               [&](const Field& field, const auto& value) { layout[field.name] = value; });
  json["layout"] = std::move(layout);
  return json;
}

}  // namespace

void print_text(const Judgement& j, const std::string& path, std::ostream& out) {
  size_t width = 4;
  for (const JudgedRow& row : j.rows) width = std::max(width, row.measured.name.size());
  out << fmt::format("{}: {} rows, {} left out\n\n", path, j.rows.size(), j.left_out);
  out << fmt::format("{:<{}} {:>10} {:>10} {:>8}  {:>10}\n", "", width, "step, s", "", "", "memory, GB");
  out << fmt::format("{:<{}} {:>10} {:>10} {:>8}  {:>10} {:>10} {:>8}  {:<7}  {:<7}  {}\n", "row", width,
                     "measured", "predicted", "error", "measured", "predicted", "error", "run", "called",
                     "layout");
  for (const JudgedRow& row : j.rows) print_row(row, width, out);
  out << "\nThe error is predicted / measured - 1. Where cells are empty, the fastest layout that fits "
         "counts. GB are "
         "1e9 bytes,\nas rank 0 allocates them; whether a layout fits is judged by the rank that needs "
         "most.\n";
  if (j.left_out > 0) out << fmt::format("{} rows are left out of what follows.\n", j.left_out);
  if (j.without_measurement > 0)
    out << fmt::format("{} rows have no measurement to compare with.\n", j.without_measurement);
  if (j.naive_efficiency > 0)
    out << fmt::format(
        "Naive: FLOPs / ({:.3f} of the peak) * (1 + (pp - 1) / (v m)); {:.3f} has the smallest mean error on "
        "this "
        "table.\n",
        j.naive_efficiency, j.naive_efficiency);
  out << '\n';
  print_errors("step time", j, j.ours.time, j.naive.time, j.ours.time_rows, out);
  if (j.beyond_tp8 > 0)
    print_errors("step time, tp <= 8", j, j.ours_tp8.time, j.naive_tp8.time, j.ours_tp8.time_rows, out);
  print_errors("memory", j, j.ours.memory, j.naive.memory, j.ours.memory_rows, out);
  if (j.beyond_tp8 > 0)
    print_errors("memory, tp <= 8", j, j.ours_tp8.memory, j.naive_tp8.memory, j.ours_tp8.memory_rows, out);
  print_oom(j.ours.oom, j.naive.oom, out);
}

Json to_json(const Judgement& j, const std::string& path) {
  Json rows = Json::array();
  for (const JudgedRow& row : j.rows) rows.push_back(json_of(row));
  return {{"table", path},
          {"rows", std::move(rows)},
          {"left_out", j.left_out},
          {"without_measurement", j.without_measurement},
          {"ours", json_of(j.ours, j)},
          {"ours_tp_up_to_8", json_of(j.ours_tp8, j)},
          {"naive", json_of(j.naive, j)},
          {"naive_tp_up_to_8", json_of(j.naive_tp8, j)},
          {"naive_efficiency", j.naive_efficiency > 0 ? Json(j.naive_efficiency) : Json(nullptr)}};
}

}  // namespace dsllm::sim
