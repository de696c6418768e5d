// Interleaved 1F1B (Narayanan et al. 2021, section 2.2.2, figure 4): stage s holds v chunks of layers, the parts s, s + p,
// s + 2p, ... of the model. Micro-batches go in groups of p: a group passes chunk 0, then chunk 1, ...; backward the
// chunks come in reverse. The k-th forward of a stage is therefore
//
//   micro-batch  p * (k / (p v)) + k mod p      of chunk  (k / p) mod v
//
// and the k-th backward the same micro-batch of chunk v-1 - that. Before its first backward stage s does
// 2 (p-1-s) + (v-1) p forwards: a pass of the last chunk returns only after 2 (p-1-s) others.
#include <algorithm>

#include "sim/schedule/build.hpp"

namespace dsllm::sim {

void build_interleaved(int64_t stages, int64_t micro_batches, int64_t chunks, Schedule& schedule) {
  const int64_t p = stages, v = chunks;
  if (v == 1) return build_one_f_one_b(stages, micro_batches, schedule);
  const auto micro_batch = [&](int64_t k) { return p * (k / (p * v)) + k % p; };
  const auto chunk = [&](int64_t k) { return k / p % v; };

  const int64_t passes = micro_batches * v;
  for (int64_t stage = 0; stage < p; ++stage) {
    RankList list(schedule);
    const int64_t warmup = std::min(2 * (p - 1 - stage) + (v - 1) * p, passes);
    for (int64_t k = 0; k < warmup; ++k) list.forward(micro_batch(k), chunk(k));
    for (int64_t k = warmup; k < passes; ++k) {
      list.forward(micro_batch(k), chunk(k));
      list.backward(micro_batch(k - warmup), v - 1 - chunk(k - warmup));
    }
    for (int64_t k = passes - warmup; k < passes; ++k) list.backward(micro_batch(k), v - 1 - chunk(k));
  }
}

}  // namespace dsllm::sim
