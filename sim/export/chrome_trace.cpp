// The Trace Event Format: metadata names processes and tracks ("M"), complete events have a start and a duration ("X"), counters
// a value from a time on ("C"), and arrows a start and an end inside events of two tracks ("s", "f").
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ref/core/json.hpp"
#include "sim/export/pipeline_trace.hpp"

namespace dsllm::sim {

namespace {

// A rank's four streams are four tracks; rank r's are 4 r .. 4 r + 3, so that they stand in this order.
int64_t track(int32_t rank, Stream stream) {
  return int64_t{4} * rank + static_cast<int64_t>(stream);
}

double microseconds(double seconds) {
  return seconds * 1e6;
}

const char* category(const TimelineEvent& e) {
  switch (e.kind) {
    case EventKind::pass:
      break;
    case EventKind::send_activation:
    case EventKind::send_gradient:
      return "send";
    case EventKind::gather:
    case EventKind::reduce:
      return "collective";
    case EventKind::optimizer:
      return "optimizer";
  }
  switch (e.pass.kind) {
    case PassKind::forward:
      return "forward";
    case PassKind::backward_input:
      return "backward input";
    case PassKind::backward_weight:
      return "backward weight";
    case PassKind::backward:
      return "backward";
    case PassKind::pair:
      return "forward and backward";
  }
  return "?";
}

// Colours of the trace viewer by name, so that the passes of all ranks look alike.
const char* colour(const TimelineEvent& e) {
  if (e.kind != EventKind::pass) return "grey";
  switch (e.pass.kind) {
    case PassKind::forward:
      return "thread_state_running";
    case PassKind::backward_weight:
      return "thread_state_iowait";
    case PassKind::pair:
      return "thread_state_unknown";
    default:
      return "thread_state_runnable";
  }
}

struct Entry {
  double time;
  int order;  // of entries at the same time: counters, events, the starts of arrows, their ends
  Json json;
};

void describe_tracks(const TraceProcess& process, int64_t pid, Json& out) {
  const Timeline& t = *process.timeline;
  out.push_back({{"ph", "M"}, {"pid", pid}, {"name", "process_name"}, {"args", {{"name", process.name}}}});
  std::vector<bool> used(static_cast<size_t>(4 * t.ranks), false);
  for (const TimelineEvent& e : t.events) used[static_cast<size_t>(track(e.rank, e.stream))] = true;
  for (int64_t tid = 0; tid < 4 * t.ranks; ++tid) {
    if (!used[static_cast<size_t>(tid)]) continue;
    const std::string name = fmt::format("rank {} {}", tid / 4, to_string(static_cast<Stream>(tid % 4)));
    out.push_back(
        {{"ph", "M"}, {"pid", pid}, {"tid", tid}, {"name", "thread_name"}, {"args", {{"name", name}}}});
    out.push_back({{"ph", "M"},
                   {"pid", pid},
                   {"tid", tid},
                   {"name", "thread_sort_index"},
                   {"args", {{"sort_index", tid}}}});
  }
}

void add_process(const TraceProcess& process, int64_t pid, int64_t& arrows, std::vector<Entry>& out) {
  const Timeline& t = *process.timeline;
  const bool with_chunk = t.chunks > 1;
  for (const TimelineEvent& e : t.events) {
    const double start = microseconds(e.start_s), end = microseconds(e.end_s);
    const int64_t tid = track(e.rank, e.stream);
    const std::string name = name_of(e, with_chunk);
    Json json{{"ph", "X"},          {"pid", pid},  {"tid", tid},         {"name", name},
              {"cat", category(e)}, {"ts", start}, {"dur", end - start}, {"cname", colour(e)}};
    if (e.kind == EventKind::pass) {
      json["args"] = {{"micro_batch", e.pass.micro_batch}, {"chunk", e.pass.chunk}};
      if (e.pass.kind == PassKind::pair) {
        json["args"]["backward_micro_batch"] = e.pass.pair_micro_batch;
        json["args"]["backward_chunk"] = e.pass.pair_chunk;
      }
    }
    out.push_back({start, 1, std::move(json)});
    if (e.consumer < 0) continue;
    // From the send to the pass that waits for it. An arrow's ends lie within the events that they join.
    const TimelineEvent& consumer = t.events[static_cast<size_t>(e.consumer)];
    const double arrival = microseconds(consumer.start_s);
    const int64_t id = arrows++;
    out.push_back({start,
                   2,
                   {{"ph", "s"},
                    {"pid", pid},
                    {"tid", tid},
                    {"name", name},
                    {"cat", "send"},
                    {"id", id},
                    {"ts", start}}});
    out.push_back({arrival,
                   3,
                   {{"ph", "f"},
                    {"bp", "e"},
                    {"pid", pid},
                    {"tid", track(consumer.rank, consumer.stream)},
                    {"name", name},
                    {"cat", "send"},
                    {"id", id},
                    {"ts", arrival}}});
  }
  for (const MemorySample& sample : t.memory) {
    const double time = microseconds(sample.time_s);
    out.push_back({time,
                   0,
                   {{"ph", "C"},
                    {"pid", pid},
                    {"ts", time},
                    {"name", fmt::format("rank {} activations", sample.rank)},
                    {"args", {{t.counts_bytes ? "bytes" : "micro-batches of a chunk", sample.bytes}}}}});
  }
}

}  // namespace

std::string chrome_trace(std::span<const TraceProcess> processes) {
  Json events = Json::array();
  std::vector<Entry> entries;
  int64_t pid = 0, arrows = 0;
  for (const TraceProcess& process : processes) {
    describe_tracks(process, pid, events);
    add_process(process, pid, arrows, entries);
    ++pid;
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.time != b.time ? a.time < b.time : a.order < b.order;
  });
  for (Entry& entry : entries) events.push_back(std::move(entry.json));
  // A line an event, so that the file can be read and compared.
  std::string text = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n";
  for (size_t i = 0; i < events.size(); ++i) {
    text += events[i].dump();
    text += i + 1 < events.size() ? ",\n" : "\n";
  }
  return text + "]}\n";
}

std::string chrome_trace(const Timeline& timeline, const std::string& name) {
  const TraceProcess process{name, &timeline};
  return chrome_trace(std::span(&process, 1));
}

std::string events_csv(const Timeline& timeline) {
  std::string text = "rank,stream,name,kind,micro_batch,chunk,start_s,end_s,peer\n";
  for (const TimelineEvent& e : timeline.events) {
    const bool sync = e.stream == Stream::sync;
    const bool gradient = e.kind == EventKind::send_gradient && e.pass.kind == PassKind::pair;
    text += fmt::format(
        "{},{},{},{},{},{},{:.9g},{:.9g},{}\n", e.rank, to_string(e.stream), name_of(e, timeline.chunks > 1),
        category(e), sync ? "" : fmt::to_string(gradient ? e.pass.pair_micro_batch : e.pass.micro_batch),
        e.kind == EventKind::optimizer ? "" : fmt::to_string(gradient ? e.pass.pair_chunk : e.pass.chunk),
        e.start_s, e.end_s, e.peer < 0 ? "" : fmt::to_string(e.peer));
  }
  return text;
}

}  // namespace dsllm::sim
