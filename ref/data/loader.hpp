// Batches for training: sequences cut from packed text, in a new order every epoch.
//
// Sequence i is the tokens i * seq .. i * seq + seq - 1, and its targets the tokens one further: every token but the
// first is a target once an epoch, whatever document it belongs to. The tail that fills no sequence is left out.
#pragma once

#include <cstdint>
#include <vector>

#include "ref/core/view.hpp"
#include "ref/data/dataset.hpp"

namespace dsllm {

// Where a loader stands: sequences before `index` of the epoch's order have been read. All that has to be stored to
// go on exactly.
struct DataPosition {
  int64_t epoch = 0, index = 0;
  bool operator==(const DataPosition&) const = default;
};

// The streams of Philox that belong to data: the order of epoch e is a permutation drawn from order_stream + e. They lie
// far from those that other code counts from 0.
inline constexpr uint64_t order_stream = uint64_t{1} << 32, heldout_stream = uint64_t{2} << 32;

class BatchLoader {
 public:
  // Throws FileError if the text holds fewer sequences than `batch`, with both numbers. `text` must outlive the loader.
  BatchLoader(const TokenFile& text, int64_t seq, int64_t batch, uint64_t seed);

  int64_t sequences() const { return sequences_; }  // of an epoch
  DataPosition position() const { return position_; }
  // Throws ValueError for a position that the text does not have.
  void seek(DataPosition position);

  // The next sequences: tokens, targets [n, seq], any n >= 1. At the end of an epoch the next one begins, within a batch
  // too. Throws ShapeError, FileError (an id outside the vocabulary; the position is then unchanged).
  void next(View<int32_t, 2> tokens, View<int32_t, 2> targets);

 private:
  const TokenFile& text_;
  int64_t seq_, sequences_;
  uint64_t seed_;
  DataPosition position_;
  int64_t order_epoch_ = -1;
  std::vector<int64_t> order_;  // of epoch order_epoch_
};

// Held-out text in its order, every token but the first once a target: how many batches of [batch, seq] cover its first
// `limit` targets (0: all), whole batches where there is a limit.
int64_t heldout_batches(const TokenFile& text, int64_t batch, int64_t seq, int64_t limit);

// Batch `index` of them; returns the number of targets. What the text does not fill has ignored_target as target.
int64_t read_heldout_batch(const TokenFile& text, int64_t index, View<int32_t, 2> tokens,
                           View<int32_t, 2> targets);

}  // namespace dsllm
