// A schedule is, for every rank, the order of its passes: nothing else. When each of them starts follows from what it
// waits for, and is the engine's business (engine.hpp). One builder a schedule, each beside the figure it draws.
//
// GPipe        Huang et al. 2019             all forwards, then all backwards
// 1F1B         Narayanan et al. 2021, 2.2    one forward, one backward
// interleaved  Narayanan et al. 2021, 2.2    1F1B over v chunks of layers a rank
// ZB-H1, ZB-H2 Qi et al. 2401.10241, 3       backward in two parts, the weights' part fills the gaps
// DualPipe     DeepSeek-V3 2412.19437, 3.2.1 micro-batches enter from both ends
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/pipeline.hpp"

namespace dsllm::sim {

enum class PassKind : uint8_t {
  forward,          // F
  backward_input,   // B: the gradient of the chunk's input, which the stage before waits for
  backward_weight,  // W: the gradient of the chunk's weights, which nobody waits for
  backward,         // BW: both in one
  pair              // F&B: a forward of one chunk and a full backward of another, overlapped (DualPipe)
};

struct Pass {
  PassKind kind = PassKind::forward;
  int16_t chunk = 0;        // of the rank; of a pair: the forward's chunk
  int32_t micro_batch = 0;  // of a pair: the forward's
  int16_t pair_chunk = 0;   // of a pair: the backward's
  int32_t pair_micro_batch = 0;

  friend bool operator==(const Pass&, const Pass&) = default;
};

// "F3", "B3", "W3", "BW3", "F3&B1"; with chunks: "F3.1".
std::string to_string(const Pass& pass, bool with_chunk);

// passes[begin[r] .. begin[r + 1]) are rank r's, in its order.
struct Schedule {
  std::vector<Pass> passes;
  std::vector<int64_t> begin = {0};

  int64_t ranks() const { return static_cast<int64_t>(begin.size()) - 1; }
  std::span<const Pass> rank(int64_t r) const {
    return {passes.data() + begin[r], static_cast<size_t>(begin[r + 1] - begin[r])};
  }
  void clear() {
    passes.clear();
    begin.assign(1, 0);
  }
  void end_rank() { begin.push_back(static_cast<int64_t>(passes.size())); }
};

// Throws ConfigError naming the field, its value and the rule: stages, micro_batches, chunks at least 1; interleaved:
// micro_batches a multiple of stages; DualPipe: an even number of stages, an even number of micro-batches, at least
// 2 * stages (as its authors' program demands), 2 chunks; times [stages * chunks], finite and not negative; bytes so
// or empty, and a weight context at most the activation.
void validate(const Pipeline& pipeline);

// The rules that any lists for this pipeline keep, whatever their order: chunks and micro-batches that there are, every
// part of the model done once for every micro-batch (F, B and W each). Throws ValueError naming the rank and the pass.
void check_lists(const Pipeline& pipeline, const Schedule& schedule);

// The passes of pipeline.kind; reads kind, stages, micro_batches and chunks only. Reuses the memory of `schedule`.
// Throws ConfigError as validate().
void build_schedule(const Pipeline& pipeline, Schedule& schedule);
Schedule build_schedule(const Pipeline& pipeline);

// The chunks of a rank: v for interleaved (1 else), 2 for DualPipe.
int64_t chunks_of(const Pipeline& pipeline) noexcept;

// Which part of the model chunk `chunk` of stage `stage` is: chunk * p + stage; DualPipe: p-1-stage for its second.
int64_t part_of(ScheduleKind kind, int64_t stages, int64_t stage, int64_t chunk) noexcept;

// One builder a file; they append the passes of all ranks.
void build_gpipe(int64_t stages, int64_t micro_batches, Schedule& schedule);
void build_one_f_one_b(int64_t stages, int64_t micro_batches, Schedule& schedule);
void build_interleaved(int64_t stages, int64_t micro_batches, int64_t chunks, Schedule& schedule);
void build_zb_h1(int64_t stages, int64_t micro_batches, Schedule& schedule);
void build_zb_h2(int64_t stages, int64_t micro_batches, Schedule& schedule);
void build_dualpipe(int64_t stages, int64_t micro_batches, Schedule& schedule);

}  // namespace dsllm::sim
