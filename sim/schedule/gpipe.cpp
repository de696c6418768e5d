// GPipe (Huang et al. 2019): all forwards, then all backwards, the last micro-batch first as its figure draws them.
//
//   stage 0  F0 F1 F2 F3 .  .  .  .  .  .  BW3 BW2 BW1 BW0
//   stage 1  .  F0 F1 F2 F3 .  .  .  BW3 BW2 BW1 BW0 .
#include "sim/schedule/build.hpp"

namespace dsllm::sim {

void build_gpipe(int64_t stages, int64_t micro_batches, Schedule& schedule) {
  for (int64_t stage = 0; stage < stages; ++stage) {
    RankList list(schedule);
    for (int64_t i = 0; i < micro_batches; ++i) list.forward(i);
    for (int64_t i = micro_batches; i-- > 0;) list.backward(i);
  }
}

}  // namespace dsllm::sim
