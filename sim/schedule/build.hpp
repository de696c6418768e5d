// The pen that the builders draw with: appends the passes of one rank, and ends the rank at its own end.
#pragma once

#include "sim/schedule/events.hpp"

namespace dsllm::sim {

class RankList {
 public:
  explicit RankList(Schedule& schedule) : schedule_(schedule) {}
  ~RankList() { schedule_.end_rank(); }
  RankList(const RankList&) = delete;
  RankList& operator=(const RankList&) = delete;

  void forward(int64_t i, int64_t chunk = 0) { add(PassKind::forward, i, chunk); }
  void backward_input(int64_t i, int64_t chunk = 0) { add(PassKind::backward_input, i, chunk); }
  void backward_weight(int64_t i, int64_t chunk = 0) { add(PassKind::backward_weight, i, chunk); }
  void backward(int64_t i, int64_t chunk = 0) { add(PassKind::backward, i, chunk); }
  void pair(int64_t forward, int64_t chunk, int64_t backward, int64_t backward_chunk) {
    schedule_.passes.push_back({PassKind::pair, static_cast<int16_t>(chunk), static_cast<int32_t>(forward),
                                static_cast<int16_t>(backward_chunk), static_cast<int32_t>(backward)});
  }

 private:
  void add(PassKind kind, int64_t i, int64_t chunk) {
    schedule_.passes.push_back({kind, static_cast<int16_t>(chunk), static_cast<int32_t>(i), 0, 0});
  }
  Schedule& schedule_;
};

}  // namespace dsllm::sim
