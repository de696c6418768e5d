// Zero bubble (Qi et al. 2401.10241, section 3, figures 2 and 3): backward in two parts. B, the gradient of the input, is
// what the stage before waits for; W, the gradient of the weights, waits for nobody and fills the gaps. Both schedules are
// 1F1B with two numbers changed: how many forwards come before the first B, and how many W may be owed.
//
//                  forwards before the first B      W owed, at most
//   ZB-H1          p - s       (as 1F1B)            s        memory of 1F1B
//   ZB-H2          2 (p - s) - 1                    2 s      no gap at all where F = B = W
//
// At the peak stage s holds that many activations and that many weight contexts (their section 3.2, with i = s + 1).
#include <algorithm>

#include "sim/schedule/build.hpp"

namespace dsllm::sim {

namespace {

void build_zero_bubble(int64_t forwards, int64_t owed, int64_t micro_batches, Schedule& schedule) {
  RankList list(schedule);
  const int64_t warmup = std::min(forwards, micro_batches);
  int64_t weights = 0;
  for (int64_t i = 0; i < warmup; ++i) list.forward(i);
  for (int64_t i = 0; i < micro_batches; ++i) {
    list.backward_input(i);
    if (i + 1 - weights > owed) list.backward_weight(weights++);
    if (warmup + i < micro_batches) list.forward(warmup + i);
  }
  while (weights < micro_batches) list.backward_weight(weights++);
}

}  // namespace

void build_zb_h1(int64_t stages, int64_t micro_batches, Schedule& schedule) {
  for (int64_t s = 0; s < stages; ++s) build_zero_bubble(stages - s, s, micro_batches, schedule);
}

void build_zb_h2(int64_t stages, int64_t micro_batches, Schedule& schedule) {
  for (int64_t s = 0; s < stages; ++s)
    build_zero_bubble(2 * (stages - s) - 1, 2 * s, micro_batches, schedule);
}

}  // namespace dsllm::sim
