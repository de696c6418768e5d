// What happened in a run, for those who want to see it: each pass, send, reduction, and the memory after every change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/schedule/events.hpp"

namespace dsllm::sim {

enum class Stream : uint8_t { compute, send_next, send_previous, sync };
enum class EventKind : uint8_t { pass, send_activation, send_gradient, gather, reduce, optimizer };

struct TimelineEvent {
  EventKind kind = EventKind::pass;
  Stream stream = Stream::compute;
  int32_t rank = 0;
  int32_t peer = -1;      // of a send: who receives it
  Pass pass;              // of a send: the pass that made it; of gather and reduce: its chunk is the pass's
  int64_t consumer = -1;  // of a send: index in Timeline::events of the pass that waits for it
  double start_s = 0, end_s = 0;
};

struct MemorySample {
  int32_t rank = 0;
  double time_s = 0;
  double bytes = 0;  // from this time on
};

struct Timeline {
  int64_t ranks = 0, chunks = 1, micro_batches = 0;
  double end_s = 0;
  bool counts_bytes = false;          // false: the samples count chunks' micro-batches
  std::vector<TimelineEvent> events;  // by rank, and within a rank's stream by time
  std::vector<MemorySample> memory;   // by rank, then time
};

std::string to_string(Stream stream);  // "compute", "send to next", "send to previous", "sync"
// "F3", "send F3", "send B3", "all-gather", "reduce", "optimizer"; with the chunk where the timeline has several.
std::string name_of(const TimelineEvent& event, bool with_chunk);

}  // namespace dsllm::sim
