#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ref/core/error.hpp"
#include "sim/export/pipeline_trace.hpp"

namespace dsllm::sim {

namespace {

// A letter per pass. Of a pair the first half shows the forward, the second the backward.
char letter(const TimelineEvent& e, double time) {
  const Pass& pass = e.pass;
  const auto digit = [](int32_t i) { return static_cast<char>('0' + i % 10); };
  const auto small = [](int32_t i) { return static_cast<char>('a' + i % 10); };
  switch (e.kind) {
    case EventKind::gather:
      return 'g';
    case EventKind::reduce:
      return 'r';
    case EventKind::optimizer:
      return 'o';
    default:
      break;
  }
  switch (pass.kind) {
    case PassKind::forward:
      return digit(pass.micro_batch);
    case PassKind::backward_input:
    case PassKind::backward:
      return small(pass.micro_batch);
    case PassKind::backward_weight:
      return static_cast<char>('A' + pass.micro_batch % 10);
    case PassKind::pair:
      return time < (e.start_s + e.end_s) / 2 ? digit(pass.micro_batch) : small(pass.pair_micro_batch);
  }
  return '?';
}

std::string in_units(double seconds) {
  if (seconds >= 1 || seconds == 0) return fmt::format("{:.4g} s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:.4g} ms", seconds * 1e3);
  return fmt::format("{:.4g} us", seconds * 1e6);
}

double shortest_pass(const Timeline& t) {
  double shortest = 0;
  for (const TimelineEvent& e : t.events) {
    if (e.kind != EventKind::pass || !(e.end_s > e.start_s)) continue;
    const double time = (e.end_s - e.start_s) / (e.pass.kind == PassKind::pair ? 2 : 1);
    if (shortest == 0 || time < shortest) shortest = time;
  }
  return shortest;
}

}  // namespace

std::string timeline_text(const Timeline& t, const TextOptions& options) {
  if (options.width < 10 || options.width > 100'000)
    throw ValueError("timeline", "a width of 10 to 100000 columns", fmt::to_string(options.width));
  if (!(options.unit_s >= 0 && std::isfinite(options.unit_s)))
    throw ValueError("timeline", "a unit of time of 0 or more", fmt::to_string(options.unit_s));
  if (!(t.end_s > 0)) return "an empty timeline\n";
  double unit = options.unit_s > 0 ? options.unit_s : shortest_pass(t);
  // A sum of many times may end a rounding error beyond the last column.
  const auto widest = static_cast<double>(options.width);
  if (!(unit > 0) || t.end_s / unit > widest * (1 + 1e-9)) unit = t.end_s / widest;
  const auto columns = std::max<int64_t>(
      1, std::min(options.width, static_cast<int64_t>(std::ceil(t.end_s / unit * (1 - 1e-9)))));

  // Compute and sync streams of every rank; a column shows what runs in its middle.
  const auto row = [](int32_t rank, Stream s) {
    return 2 * static_cast<size_t>(rank) + (s == Stream::sync ? 1 : 0);
  };
  std::vector<std::string> rows(static_cast<size_t>(2 * t.ranks),
                                std::string(static_cast<size_t>(columns), '.'));
  std::vector<bool> used(rows.size(), false);
  bool weights = false, pairs = false, syncs = false;
  for (const TimelineEvent& e : t.events) {
    if (e.stream == Stream::send_next || e.stream == Stream::send_previous) continue;
    const size_t r = row(e.rank, e.stream);
    used[r] = true;
    weights = weights || (e.kind == EventKind::pass && e.pass.kind == PassKind::backward_weight);
    pairs = pairs || (e.kind == EventKind::pass && e.pass.kind == PassKind::pair);
    syncs = syncs || e.stream == Stream::sync;
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(std::floor(e.start_s / unit)));
    for (int64_t c = first; c < columns; ++c) {
      const double middle = (static_cast<double>(c) + 0.5) * unit;
      if (middle >= e.end_s) break;
      if (middle >= e.start_s) rows[r][static_cast<size_t>(c)] = letter(e, middle);
    }
  }

  std::string text;
  const size_t label = fmt::format("rank {}", t.ranks - 1).size();
  for (int64_t rank = 0; rank < t.ranks; ++rank) {
    const auto r = static_cast<size_t>(2 * rank);
    text += fmt::format("{:<{}} |{}|\n", fmt::format("rank {}", rank), label, rows[r]);
    if (used[r + 1]) text += fmt::format("{:>{}} |{}|\n", "sync", label, rows[r + 1]);
  }
  const std::string end = in_units(t.end_s);
  text += fmt::format("{:<{}}  0{:>{}}\n", "", label, end, std::max<int64_t>(columns - 1, 1));
  text += fmt::format(
      "a column is {}; 0-9 forward, a-j backward{}{}{}, '.' idle; by the last digit of the micro-batch{}\n",
      in_units(unit), weights ? " of the input, A-J of the weights" : "",
      pairs ? ", a digit and a letter in one pass: overlapped" : "",
      syncs ? ", g all-gather, r reduction, o optimizer" : "",
      t.chunks > 1 ? " (chunks are not told apart)" : "");
  return text;
}

}  // namespace dsllm::sim
