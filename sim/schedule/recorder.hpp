// Takes notes for the engine: what happened, in the order in which it was found out, made into a Timeline at the end.
#pragma once

#include "sim/schedule/timeline.hpp"

namespace dsllm::sim {

class Recorder {
 public:
  void start(Timeline& timeline, const Pipeline& pipeline);
  void pass(int32_t rank, const Pass& pass, double start, double end) {
    timeline_->events.push_back({EventKind::pass, Stream::compute, rank, -1, pass, -1, start, end});
  }
  void send(EventKind kind, Stream stream, int32_t rank, int32_t to, const Pass& pass, double start,
            double end) {
    timeline_->events.push_back({kind, stream, rank, to, pass, -1, start, end});
  }
  void sync(EventKind kind, int32_t rank, const Pass& pass, double start, double end) {
    timeline_->events.push_back({kind, Stream::sync, rank, -1, pass, -1, start, end});
  }
  void memory(int32_t rank, double at, double bytes) { timeline_->memory.push_back({rank, at, bytes}); }
  // Sorts, and finds out who waited for every send.
  void finish(double end);

 private:
  Timeline* timeline_ = nullptr;
  ScheduleKind kind_ = ScheduleKind::gpipe;
};

}  // namespace dsllm::sim
