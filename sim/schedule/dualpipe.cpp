// DualPipe (DeepSeek-V3, arXiv 2412.19437, section 3.2.1, figure 5; github.com/deepseek-ai/DualPipe has its eight steps).
// Every rank holds two parts of the model: rank r the parts r and p-1-r. Half of the micro-batches enter at rank 0 and walk
// to rank p-1, the other half enter at rank p-1 and walk the other way. Seen from a rank in the first half, direction 0
// is the one that enters nearer to it; a rank in the second half sees the mirror image. With
// h = p/2 and r' = min(r, p-1-r), the distance to the nearer end, the steps of a rank are
//
//   1  (h - r' - 1) * 2   F0                       fill the pipeline
//   2  r' + 1             F0 F1
//   3  h - r' - 1         B1 W1 F1                 the weights' part fills the gaps, as in ZB
//   4  m/2 - p + r' + 1   F0&B1 F1&B0              forward of one direction under the backward of the other
//   5  h - r' - 1         B1 F1&B0
//   6  r' + 1             B1 B0                    the second half of them leave their W for later
//   7  h - r' - 1         W B0
//   8  r' + 1             W                        in the order in which they were left
//
// where 0 and 1 are directions, and an unsplit backward unless W is named.
#include <algorithm>
#include <array>
#include <vector>

#include "sim/schedule/build.hpp"

namespace dsllm::sim {

namespace {

class DualPipeRank {
 public:
  DualPipeRank(Schedule& schedule, int64_t micro_batches, bool second_half)
      : list_(schedule), half_(micro_batches / 2), mirrored_(second_half) {}

  void forward(int direction) {
    const int d = seen(direction);
    list_.forward(next_forward(d), d);
  }
  void backward(int direction) {
    const int d = seen(direction);
    list_.backward(next_backward(d), d);
  }
  void backward_input(int direction) {  // and leaves its W
    const int d = seen(direction);
    left_.push_back({next_backward(d), d});
    list_.backward_input(left_.back().micro_batch, d);
  }
  void backward_weight() {
    list_.backward_weight(left_[done_].micro_batch, left_[done_].chunk);
    ++done_;
  }
  void forward_and_backward(int forward, int backward) {
    const int f = seen(forward), b = seen(backward);
    const int64_t micro_batch = next_forward(f);
    list_.pair(micro_batch, f, next_backward(b), b);
  }

 private:
  struct Left {
    int64_t micro_batch;
    int chunk;
  };
  // Chunk 0 is part r of the model, for the micro-batches 0 .. m/2-1, which enter at rank 0; chunk 1 is part p-1-r, for
  // the others.
  int seen(int direction) const { return mirrored_ ? 1 - direction : direction; }
  int64_t next_forward(int chunk) { return chunk * half_ + forwards_[static_cast<size_t>(chunk)]++; }
  int64_t next_backward(int chunk) { return chunk * half_ + backwards_[static_cast<size_t>(chunk)]++; }

  RankList list_;
  int64_t half_;
  bool mirrored_;
  std::array<int64_t, 2> forwards_{}, backwards_{};
  std::vector<Left> left_;
  size_t done_ = 0;
};

}  // namespace

void build_dualpipe(int64_t stages, int64_t micro_batches, Schedule& schedule) {
  const int64_t h = stages / 2;
  for (int64_t stage = 0; stage < stages; ++stage) {
    DualPipeRank rank(schedule, micro_batches, stage >= h);
    const int64_t near = std::min(stage, stages - 1 - stage);  // r'
    const int64_t far = h - near - 1;

    for (int64_t i = 0; i < 2 * far; ++i) rank.forward(0);  // step 1
    for (int64_t i = 0; i < near + 1; ++i) {                // step 2
      rank.forward(0);
      rank.forward(1);
    }
    for (int64_t i = 0; i < far; ++i) {  // step 3
      rank.backward_input(1);
      rank.backward_weight();
      rank.forward(1);
    }
    // Step 4. The two ranks in the middle take their first pair apart, since the other waits for its forward.
    for (int64_t i = 0; i < micro_batches / 2 - stages + near + 1; ++i) {
      if (i == 0 && far == 0) {
        rank.forward(0);
        rank.backward(1);
      } else {
        rank.forward_and_backward(0, 1);
      }
      rank.forward_and_backward(1, 0);
    }
    for (int64_t i = 0; i < far; ++i) {  // step 5
      rank.backward(1);
      rank.forward_and_backward(1, 0);
    }
    const int64_t whole = near + 1;  // step 6: of 2 (r' + 1) backwards the first half are whole
    for (int64_t i = 0; i < 2 * (near + 1); ++i) {
      const int direction = i % 2 == 0 ? 1 : 0;
      if (i < whole) {
        rank.backward(direction);
      } else {
        rank.backward_input(direction);
      }
    }
    for (int64_t i = 0; i < far; ++i) {  // step 7
      rank.backward_weight();
      rank.backward_input(0);
    }
    for (int64_t i = 0; i < near + 1; ++i) rank.backward_weight();  // step 8
  }
}

}  // namespace dsllm::sim
