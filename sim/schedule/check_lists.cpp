#include <fmt/format.h>

#include "ref/core/error.hpp"
#include "sim/schedule/events.hpp"

namespace dsllm::sim {

void check_lists(const Pipeline& pipeline, const Schedule& schedule) {
  const bool dual = pipeline.kind == ScheduleKind::dualpipe;
  const int64_t p = pipeline.stages, m = pipeline.micro_batches, v = chunks_of(pipeline);
  if (schedule.ranks() != p)
    throw ValueError("schedule", fmt::format("lists for {} ranks", p), fmt::to_string(schedule.ranks()));
  if (schedule.begin.front() != 0 || schedule.begin.back() != static_cast<int64_t>(schedule.passes.size()))
    throw ValueError("schedule", "lists that cover all passes",
                     fmt::format("{} to {}", schedule.begin.front(), schedule.begin.back()));
  for (int64_t r = 0; r < p; ++r)
    if (schedule.begin[static_cast<size_t>(r)] > schedule.begin[static_cast<size_t>(r) + 1])
      throw ValueError("schedule", "lists one behind the other", fmt::format("rank {} before its start", r));

  // Bits of what a chunk of the rank has done for a micro-batch.
  constexpr unsigned f = 1, b = 2, w = 4;
  std::vector<uint8_t> done(static_cast<size_t>(v * m));
  for (int64_t r = 0; r < p; ++r) {
    done.assign(done.size(), 0);
    int64_t found = 0;
    const auto mark = [&](const Pass& pass, int64_t chunk, int64_t batch, unsigned what) {
      const bool exists = chunk >= 0 && chunk < v && batch >= 0 && batch < m;
      if (!exists || (dual && (batch >= m / 2) != (chunk == 1)))
        throw ValueError("schedule", "a chunk and a micro-batch of the rank",
                         fmt::format("{} on rank {}", to_string(pass, true), r));
      uint8_t& bits = done[static_cast<size_t>(chunk * m + batch)];
      if ((bits & what) != 0)
        throw ValueError("schedule", "every pass once",
                         fmt::format("{} again on rank {}", to_string(pass, v > 1), r));
      bits = static_cast<uint8_t>(bits | what);
      found += what == (b | w) ? 2 : 1;
    };
    for (const Pass& pass : schedule.rank(r)) {
      switch (pass.kind) {
        case PassKind::forward:
          mark(pass, pass.chunk, pass.micro_batch, f);
          break;
        case PassKind::backward_input:
          mark(pass, pass.chunk, pass.micro_batch, b);
          break;
        case PassKind::backward_weight:
          mark(pass, pass.chunk, pass.micro_batch, w);
          break;
        case PassKind::backward:
          mark(pass, pass.chunk, pass.micro_batch, b | w);
          break;
        case PassKind::pair:
          mark(pass, pass.chunk, pass.micro_batch, f);
          mark(pass, pass.pair_chunk, pass.pair_micro_batch, b | w);
          break;
      }
    }
    const int64_t expected = 3 * (dual ? m : v * m);
    if (found != expected)
      throw ValueError("schedule", fmt::format("{} F, B and W on rank {}", expected, r),
                       fmt::to_string(found));
  }
}

}  // namespace dsllm::sim
