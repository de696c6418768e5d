// 1F1B (PipeDream-Flush; Narayanan et al. 2021, section 2.2.1, figure 4): stage s starts with p-1-s forwards, as many as
// stages follow; then one forward, one backward; then the backwards that are left.
//
//   stage 0  F0 F1 F2 .  .  BW0 . F3 BW1 ...
//   stage 1  .  F0 F1 . BW0 F2 BW1 ...
//   stage 2  .  .  F0 BW0 F1 BW1 ...
#include <algorithm>

#include "sim/schedule/build.hpp"

namespace dsllm::sim {

void build_one_f_one_b(int64_t stages, int64_t micro_batches, Schedule& schedule) {
  for (int64_t stage = 0; stage < stages; ++stage) {
    RankList list(schedule);
    const int64_t warmup = std::min(stages - 1 - stage, micro_batches);
    for (int64_t i = 0; i < warmup; ++i) list.forward(i);
    for (int64_t i = warmup; i < micro_batches; ++i) {
      list.forward(i);
      list.backward(i - warmup);
    }
    for (int64_t i = micro_batches - warmup; i < micro_batches; ++i) list.backward(i);
  }
}

}  // namespace dsllm::sim
