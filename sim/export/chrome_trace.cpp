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

// What a line of the trace is made of; sorted as this, and written as JSON one after the other.
struct Entry {
  enum Kind : uint8_t { counter, slice, arrow_start, arrow_end };  // in this order at the same time
  double time;                                                     // microseconds
  Kind kind;
  int32_t process;
  int64_t index;  // of the event or the memory sample
  int64_t arrow;  // its number
};

void add_line(std::string& text, const Json& json) {
  text += text.back() == '[' ? "\n" : ",\n";
  text += json.dump();
}

void describe_tracks(const TraceProcess& process, int64_t pid, std::string& text) {
  const Timeline& t = *process.timeline;
  const auto metadata = [&](int64_t tid, const char* what, const char* field, const Json& value) {
    add_line(text, {{"ph", "M"}, {"pid", pid}, {"tid", tid}, {"name", what}, {"args", {{field, value}}}});
  };
  metadata(0, "process_name", "name", process.name);
  std::vector<bool> used(static_cast<size_t>(4 * t.ranks), false);
  for (const TimelineEvent& e : t.events) used[static_cast<size_t>(track(e.rank, e.stream))] = true;
  for (int64_t tid = 0; tid < 4 * t.ranks; ++tid) {
    if (!used[static_cast<size_t>(tid)]) continue;
    metadata(tid, "thread_name", "name",
             fmt::format("rank {} {}", tid / 4, to_string(static_cast<Stream>(tid % 4))));
    metadata(tid, "thread_sort_index", "sort_index", tid);
  }
}

// An arrow goes from a send to the pass that waits for it; its ends lie within the two events that it joins.
void add_entries(const TraceProcess& process, int32_t pid, int64_t& arrows, std::vector<Entry>& out) {
  const Timeline& t = *process.timeline;
  for (size_t i = 0; i < t.events.size(); ++i) {
    const TimelineEvent& e = t.events[i];
    const auto index = static_cast<int64_t>(i);
    const double start = microseconds(e.start_s);
    out.push_back({start, Entry::slice, pid, index, 0});
    if (e.consumer < 0) continue;
    const double arrival = microseconds(t.events[static_cast<size_t>(e.consumer)].start_s);
    out.push_back({start, Entry::arrow_start, pid, index, arrows});
    out.push_back({arrival, Entry::arrow_end, pid, index, arrows});
    ++arrows;
  }
  for (size_t i = 0; i < t.memory.size(); ++i)
    out.push_back({microseconds(t.memory[i].time_s), Entry::counter, pid, static_cast<int64_t>(i), 0});
}

Json to_json(const Entry& entry, const Timeline& t) {
  if (entry.kind == Entry::counter) {
    const MemorySample& sample = t.memory[static_cast<size_t>(entry.index)];
    return {{"ph", "C"},
            {"pid", entry.process},
            {"ts", entry.time},
            {"name", fmt::format("rank {} activations", sample.rank)},
            {"args", {{t.counts_bytes ? "bytes" : "micro-batches of a chunk", sample.bytes}}}};
  }
  const TimelineEvent& e = t.events[static_cast<size_t>(entry.index)];
  const std::string name = name_of(e, t.chunks > 1);
  if (entry.kind == Entry::slice) {
    Json json{{"ph", "X"},
              {"pid", entry.process},
              {"tid", track(e.rank, e.stream)},
              {"name", name},
              {"cat", category(e)},
              {"ts", entry.time},
              {"dur", microseconds(e.end_s) - entry.time},
              {"cname", colour(e)}};
    if (e.kind == EventKind::pass)
      json["args"] = {{"micro_batch", e.pass.micro_batch}, {"chunk", e.pass.chunk}};
    if (e.kind == EventKind::pass && e.pass.kind == PassKind::pair) {
      json["args"]["backward_micro_batch"] = e.pass.pair_micro_batch;
      json["args"]["backward_chunk"] = e.pass.pair_chunk;
    }
    return json;
  }
  const bool starts = entry.kind == Entry::arrow_start;
  const TimelineEvent& end = starts ? e : t.events[static_cast<size_t>(e.consumer)];
  Json json{{"ph", starts ? "s" : "f"},
            {"pid", entry.process},
            {"tid", track(end.rank, end.stream)},
            {"name", name},
            {"cat", "send"},
            {"id", entry.arrow},
            {"ts", entry.time}};
  if (!starts) json["bp"] = "e";  // bound to the event around it, not to the next one
  return json;
}

}  // namespace

std::string chrome_trace(std::span<const TraceProcess> processes) {
  std::string text = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [";
  std::vector<Entry> entries;
  int64_t arrows = 0;
  for (size_t i = 0; i < processes.size(); ++i) {
    describe_tracks(processes[i], static_cast<int64_t>(i), text);
    add_entries(processes[i], static_cast<int32_t>(i), arrows, entries);
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.time != b.time ? a.time < b.time : a.kind < b.kind;
  });
  for (const Entry& entry : entries)
    add_line(text, to_json(entry, *processes[static_cast<size_t>(entry.process)].timeline));
  return text + "\n]}\n";
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
