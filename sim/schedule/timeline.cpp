#include "sim/schedule/timeline.hpp"

#include <algorithm>

#include "sim/schedule/recorder.hpp"

namespace dsllm::sim {

std::string to_string(Stream stream) {
  switch (stream) {
    case Stream::compute:
      return "compute";
    case Stream::send_next:
      return "send to next";
    case Stream::send_previous:
      return "send to previous";
    case Stream::sync:
      return "sync";
  }
  return "?";
}

std::string name_of(const TimelineEvent& event, bool with_chunk) {
  const Pass& pass = event.pass;
  const bool pair = pass.kind == PassKind::pair;
  switch (event.kind) {
    case EventKind::pass:
      return to_string(pass, with_chunk);
    case EventKind::send_activation:
      return "send " + to_string({PassKind::forward, pass.chunk, pass.micro_batch, 0, 0}, with_chunk);
    case EventKind::send_gradient:
      return "send " + to_string({PassKind::backward_input, pair ? pass.pair_chunk : pass.chunk,
                                  pair ? pass.pair_micro_batch : pass.micro_batch, 0, 0},
                                 with_chunk);
    case EventKind::gather:
      return "all-gather";
    case EventKind::reduce:
      return "reduce";
    case EventKind::optimizer:
      return "optimizer";
  }
  return "?";
}

void Recorder::start(Timeline& timeline, const Pipeline& pipeline) {
  timeline_ = &timeline;
  kind_ = pipeline.kind;
  timeline.ranks = pipeline.stages;
  timeline.chunks = chunks_of(pipeline);
  timeline.micro_batches = pipeline.micro_batches;
  timeline.counts_bytes = !pipeline.bytes.empty();
  timeline.events.clear();
  timeline.memory.clear();
}

void Recorder::finish(double end) {
  Timeline& t = *timeline_;
  t.end_s = end;
  const auto track = [](const TimelineEvent& e) { return std::pair(e.rank, e.stream); };
  std::stable_sort(t.events.begin(), t.events.end(),
                   [&](const auto& a, const auto& b) { return track(a) < track(b); });
  std::stable_sort(t.memory.begin(), t.memory.end(),
                   [](const auto& a, const auto& b) { return a.rank < b.rank; });

  // Who does the forward, and who the backward, of every part for every micro-batch.
  const bool dual = kind_ == ScheduleKind::dualpipe;
  const int64_t m = t.micro_batches;
  const int64_t parts = dual ? t.ranks : t.ranks * t.chunks;
  std::vector<int64_t> forward(static_cast<size_t>(parts * m), -1), backward(forward);
  const auto slot = [&](const TimelineEvent& e, int64_t chunk, int64_t batch) {
    return static_cast<size_t>(part_of(kind_, t.ranks, e.rank, chunk) * m + batch);
  };
  for (size_t i = 0; i < t.events.size(); ++i) {
    const TimelineEvent& e = t.events[i];
    if (e.kind != EventKind::pass) continue;
    const Pass& pass = e.pass;
    const auto index = static_cast<int64_t>(i);
    if (pass.kind == PassKind::forward || pass.kind == PassKind::pair)
      forward[slot(e, pass.chunk, pass.micro_batch)] = index;
    if (pass.kind == PassKind::backward_input || pass.kind == PassKind::backward)
      backward[slot(e, pass.chunk, pass.micro_batch)] = index;
    if (pass.kind == PassKind::pair) backward[slot(e, pass.pair_chunk, pass.pair_micro_batch)] = index;
  }
  for (TimelineEvent& e : t.events) {
    const bool pair = e.pass.kind == PassKind::pair;
    if (e.kind == EventKind::send_activation)
      e.consumer = forward[slot(e, e.pass.chunk, e.pass.micro_batch) + static_cast<size_t>(m)];
    if (e.kind == EventKind::send_gradient)
      e.consumer = backward[slot(e, pair ? e.pass.pair_chunk : e.pass.chunk,
                                 pair ? e.pass.pair_micro_batch : e.pass.micro_batch) -
                            static_cast<size_t>(m)];
  }
}

}  // namespace dsllm::sim
