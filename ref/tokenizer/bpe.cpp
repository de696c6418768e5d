#include "ref/tokenizer/bpe.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <string>

#include "ref/core/error.hpp"

namespace dsllm::ref {
namespace {

constexpr int32_t no_rank = std::numeric_limits<int32_t>::max();

// Up to this many symbols a plain search for the smallest rank is faster than a heap.
constexpr size_t short_limit = 64;
constexpr uint32_t no_key = std::numeric_limits<uint32_t>::max();

}  // namespace

Bpe::Bpe(const std::array<int32_t, 256>& byte_ids, const std::vector<Merge>& merges)
    : byte_ids_(byte_ids), byte_rank_(256 * 256, no_rank) {
  result_.reserve(merges.size());
  for (const Merge& merge : merges) {
    rank_[{merge.left, merge.right}] = static_cast<int32_t>(result_.size());
    result_.push_back(merge.result);
  }
  for (size_t a = 0; a < 256; ++a)
    for (size_t b = 0; b < 256; ++b)
      if (byte_ids[a] >= 0 && byte_ids[b] >= 0) byte_rank_[a * 256 + b] = rank_of(byte_ids[a], byte_ids[b]);
}

int32_t Bpe::rank_of(int32_t left, int32_t right) const {
  const int32_t* rank = rank_.find({left, right});
  return rank ? *rank : no_rank;
}

bool Bpe::has_all_bytes(std::string_view pretoken) const {
  return std::all_of(pretoken.begin(), pretoken.end(),
                     [this](char b) { return byte_id(static_cast<uint8_t>(b)) >= 0; });
}

void Bpe::encode(std::string_view pretoken, Scratch& scratch, std::vector<int32_t>& out) const {
  if (pretoken.size() > std::numeric_limits<uint32_t>::max())  // positions have 32 bits
    throw ValueError("Bpe::encode", "a pre-token below 4 GiB", std::to_string(pretoken.size()) + " bytes");
  scratch.ids.clear();
  scratch.ranks.clear();
  uint8_t previous = 0;
  for (const char c : pretoken) {
    const uint8_t b = static_cast<uint8_t>(c);
    if (byte_ids_[b] < 0) continue;
    if (!scratch.ids.empty()) scratch.ranks.push_back(byte_rank_[previous * size_t{256} + b]);
    scratch.ids.push_back(byte_ids_[b]);
    previous = b;
  }
  scratch.ranks.push_back(no_rank);  // the last symbol has no right neighbor
  if (scratch.ids.size() <= short_limit && result_.size() < (size_t{1} << 26)) {
    merge_short(scratch, out);
  } else {
    merge_long(scratch, out);
  }
}

// The symbols stay where their first byte stood; bit i of `alive` says that one begins at i. keys[i] is the rank of the
// pair of that symbol and the next, with the position in the low 6 bits, so that the smallest key is the merge to make.
void Bpe::merge_short(Scratch& scratch, std::vector<int32_t>& out) const {
  const uint32_t n = static_cast<uint32_t>(scratch.ids.size());
  int32_t* ids = scratch.ids.data();
  scratch.keys.assign(short_limit, no_key);
  uint32_t* keys = scratch.keys.data();
  const auto key = [](int32_t rank, uint32_t at) {
    return rank == no_rank ? no_key : static_cast<uint32_t>(rank) << 6 | at;
  };
  const uint32_t padded = (n + 7) / 8 * 8;  // whole vectors
  for (uint32_t i = 0; i < n; ++i) keys[i] = key(scratch.ranks[i], i);
  uint64_t alive = n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
  const auto update = [&](uint32_t at, uint32_t next) { keys[at] = key(rank_of(ids[at], ids[next]), at); };
  for (;;) {
    uint32_t best = no_key;
    for (uint32_t i = 0; i < padded; ++i) best = std::min(best, keys[i]);
    if (best == no_key) break;
    const uint32_t at = best & 63;
    const uint64_t here = UINT64_C(1) << at;
    const uint64_t after = alive & ~(here | (here - 1));  // not empty: the pair has a right symbol
    alive &= ~(after & -after);
    ids[at] = result_[best >> 6];
    keys[std::countr_zero(after)] = keys[at] = no_key;
    if (const uint64_t next = after & (after - 1)) update(at, static_cast<uint32_t>(std::countr_zero(next)));
    if (const uint64_t before = alive & (here - 1))
      update(63 - static_cast<uint32_t>(std::countl_zero(before)), at);
  }
  for (; alive != 0; alive &= alive - 1) out.push_back(ids[std::countr_zero(alive)]);
}

// The symbols as a linked list, the pairs in a heap of (rank, position). An entry whose pair has changed since is
// known by its rank.
void Bpe::merge_long(Scratch& scratch, std::vector<int32_t>& out) const {
  const uint32_t n = static_cast<uint32_t>(scratch.ids.size());
  std::vector<int32_t>& ids = scratch.ids;
  std::vector<int32_t>& ranks = scratch.ranks;
  std::vector<uint32_t>& previous = scratch.previous;
  std::vector<uint32_t>& next = scratch.next;
  std::vector<uint64_t>& heap = scratch.heap;
  previous.resize(n);
  next.resize(n);
  heap.clear();
  const auto entry = [&](uint32_t i) { return static_cast<uint64_t>(ranks[i]) << 32 | i; };
  for (uint32_t i = 0; i < n; ++i) {
    previous[i] = i - 1;  // of the first: never asked
    next[i] = i + 1;
    if (ranks[i] != no_rank) heap.push_back(entry(i));
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());

  const auto update = [&](uint32_t i) {
    ranks[i] = next[i] < n ? rank_of(ids[i], ids[next[i]]) : no_rank;
    if (ranks[i] == no_rank) return;
    heap.push_back(entry(i));
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const uint64_t top = heap.back();
    heap.pop_back();
    const uint32_t at = static_cast<uint32_t>(top);
    if (ranks[at] != static_cast<int32_t>(top >> 32)) continue;
    const uint32_t gone = next[at];
    ids[at] = result_[static_cast<size_t>(ranks[at])];
    ranks[gone] = no_rank;
    next[at] = next[gone];
    if (next[at] < n) previous[next[at]] = at;
    update(at);
    if (at > 0) update(previous[at]);
  }
  for (uint32_t i = 0; i < n; i = next[i]) out.push_back(ids[i]);
}

}  // namespace dsllm::ref
