#include "ref/data/loader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ref/core/error.hpp"
#include "ref/core/random.hpp"
#include "ref/model/cross_entropy.hpp"

namespace dsllm {

BatchLoader::BatchLoader(const TokenFile& text, int64_t seq, int64_t batch, uint64_t seed)
    : text_(text), seq_(seq), sequences_(std::max<int64_t>(0, text.size() - 1) / seq), seed_(seed) {
  if (sequences_ < batch)
    throw FileError(text.path(), "",
                    fmt::format("at least {} * {} + 1 tokens, one batch of sequences", batch, seq),
                    fmt::format("{} tokens", text.size()));
}

void BatchLoader::seek(DataPosition position) {
  if (position.epoch < 0 || position.index < 0 || position.index > sequences_)
    throw ValueError("BatchLoader::seek", fmt::format("an epoch >= 0 and an index up to {}", sequences_),
                     fmt::format("epoch {}, index {}", position.epoch, position.index));
  position_ = position;
}

void BatchLoader::next(View<int32_t, 2> tokens, View<int32_t, 2> targets) {
  const int64_t n = tokens.extent[0];
  check_shape("BatchLoader::next", "tokens", tokens, {n, seq_});
  check_shape("BatchLoader::next", "targets", targets, {n, seq_});
  std::vector<int32_t> sequence(static_cast<size_t>(seq_) + 1);
  DataPosition at = position_;
  for (int64_t row = 0; row < n; ++row) {
    if (at.index == sequences_) at = {at.epoch + 1, 0};
    if (order_epoch_ != at.epoch) {
      order_ = permutation(sequences_, seed_, order_stream + static_cast<uint64_t>(at.epoch));
      order_epoch_ = at.epoch;
    }
    text_.read(order_[static_cast<size_t>(at.index)] * seq_, sequence);
    std::copy(sequence.begin(), sequence.end() - 1, tokens.row(row).data);
    std::copy(sequence.begin() + 1, sequence.end(), targets.row(row).data);
    ++at.index;
  }
  position_ = at;
}

int64_t heldout_batches(const TokenFile& text, int64_t batch, int64_t seq, int64_t limit) {
  const int64_t targets = std::max<int64_t>(0, text.size() - 1), per_batch = batch * seq;
  const int64_t all = (targets + per_batch - 1) / per_batch;
  if (limit == 0) return all;
  return std::min(all, std::max<int64_t>(1, limit / per_batch));
}

int64_t read_heldout_batch(const TokenFile& text, int64_t index, View<int32_t, 2> tokens,
                           View<int32_t, 2> targets) {
  const int64_t batch = tokens.extent[0], seq = tokens.extent[1];
  check_shape("read_heldout_batch", "targets", targets, {batch, seq});
  std::vector<int32_t> sequence;
  int64_t total = 0;
  for (int64_t row = 0; row < batch; ++row) {
    const int64_t begin = (index * batch + row) * seq;
    const int64_t count = std::clamp<int64_t>(text.size() - 1 - begin, 0, seq);
    std::fill_n(tokens.row(row).data, seq, 0);
    std::fill_n(targets.row(row).data, seq, ref::ignored_target);
    if (count == 0) continue;
    sequence.resize(static_cast<size_t>(count) + 1);
    text.read(begin, sequence);
    std::copy(sequence.begin(), sequence.end() - 1, tokens.row(row).data);
    std::copy(sequence.begin() + 1, sequence.end(), targets.row(row).data);
    total += count;
  }
  return total;
}

}  // namespace dsllm
