// A pipeline's run as files: a Chrome trace (chrome://tracing, ui.perfetto.dev), CSV, and lines of text for a terminal.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "sim/schedule/timeline.hpp"

namespace dsllm::sim {

// One process of the trace: a replica of the model, or another schedule to compare with.
struct TraceProcess {
  std::string name;  // "replica 0: 1f1b"
  const Timeline* timeline = nullptr;
};

// Trace Event Format, JSON object form: a process per entry, a track per rank and stream, a counter of activation bytes per
// rank, an arrow from every send to the pass that waits for it. Times in microseconds, sorted.
std::string chrome_trace(std::span<const TraceProcess> processes);
std::string chrome_trace(const Timeline& timeline, const std::string& name = "pipeline");

// "rank,stream,name,kind,micro_batch,chunk,start_s,end_s,peer", a line per event; peer: who receives a send. A pair's
// micro_batch is its forward's.
std::string events_csv(const Timeline& timeline);

// A row per rank, a column per unit of time, and a legend:
//   rank 0 |0123a.4b.5c...|
// 0-9: forward, by the last digit of the micro-batch; a-j: backward, or only the input's part where A-J is the weights'; '.'
// idle. A second row for gathers, reductions and the optimizer, where there are any. A column shows what runs in its middle.
struct TextOptions {
  int64_t width = 100;  // columns for the time line, at most
  double unit_s = 0;    // of a column; 0: the shortest pass, or more where that is too wide
};
// Throws ValueError for a width or a unit that cannot be.
std::string timeline_text(const Timeline& timeline, const TextOptions& options = {});

}  // namespace dsllm::sim
