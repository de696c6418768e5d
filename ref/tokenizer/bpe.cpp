#include "ref/tokenizer/bpe.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "ref/core/error.hpp"

namespace dsllm::ref {
namespace {

constexpr uint32_t no_key = std::numeric_limits<uint32_t>::max();

// Up to this many bytes, one bit of a word each, a search for the smallest rank is faster than a heap.
constexpr size_t scan_limit = 64;

// Which of the 2^20 bits of maybe_ a pair has; other bits of the hash than PairMap's.
size_t filter_bit(uint64_t hash) {
  return static_cast<size_t>(hash >> 44);
}

}  // namespace

Bpe::Bpe(const std::array<int32_t, 256>& byte_ids, const std::vector<Merge>& merges)
    : byte_ids_(byte_ids), maybe_((size_t{1} << 20) / 64), byte_pairs_(256 * 256, {no_rank, 0}) {
  if (merges.size() >= size_t{1} << 26)  // a rank and a position share 32 bits in merge_by_scan
    throw ValueError("Bpe", "fewer than 2^26 merges", std::to_string(merges.size()));
  int32_t rank = 0;
  for (const Merge& merge : merges) {
    const Pair pair{merge.left, merge.right};
    learned_[pair] = {rank++, merge.result};
    const size_t bit = filter_bit(hash_pair(pair));
    maybe_[bit / 64] |= UINT64_C(1) << bit % 64;
  }
  for (size_t a = 0; a < 256; ++a)
    for (size_t b = 0; b < 256; ++b)
      if (byte_ids[a] >= 0 && byte_ids[b] >= 0) byte_pairs_[a * 256 + b] = find(byte_ids[a], byte_ids[b]);
}

Bpe::Learned Bpe::find(int32_t left, int32_t right) const {
  const uint64_t hash = hash_pair({left, right});
  const size_t bit = filter_bit(hash);
  if (!(maybe_[bit / 64] >> bit % 64 & 1)) return {no_rank, 0};
  const Learned* learned = learned_.find({left, right}, hash);
  return learned ? *learned : Learned{no_rank, 0};
}

bool Bpe::has_all_bytes(std::string_view pretoken) const {
  return std::all_of(pretoken.begin(), pretoken.end(),
                     [this](char b) { return byte_id(static_cast<uint8_t>(b)) >= 0; });
}

void Bpe::encode(std::string_view pretoken, Scratch& scratch, std::vector<int32_t>& out) const {
  if (!has_all_bytes(pretoken)) {
    std::string known;
    std::copy_if(pretoken.begin(), pretoken.end(), std::back_inserter(known),
                 [this](char b) { return byte_id(static_cast<uint8_t>(b)) >= 0; });
    return encode(known, scratch, out);
  }
  if (pretoken.size() > scan_limit) return encode_long(pretoken, scratch, out);
  merge(pretoken, scratch, scratch.window);
  for (const Piece& piece : scratch.window) out.push_back(piece.id);
}

// A long run is encoded through a window, since what happens far away rarely matters. Exact by this property: tokens
// t1 t2 ... tn are the encoding of their bytes if and only if every two neighbors ti ti+1 are the encoding of theirs.
// (The merges of the whole, looked at between the ends of ti ti+1 only, are those of the pair alone as long as none
// crosses a border of tokens; the first that would cross the one between ti and ti+1 would be the pair's next one, too.)
// So a window's tokens and those of a window that begins at one of its borders can be joined there if the two tokens
// beside the border are the encoding of their bytes. If no border is found that way, the window doubles.
void Bpe::encode_long(std::string_view bytes, Scratch& scratch, std::vector<int32_t>& out) const {
  std::vector<Piece>&window = scratch.window, &following = scratch.following, &joint = scratch.joint;
  size_t begin = 0, width = scan_limit;
  merge(bytes.substr(begin, width), scratch, window);
  while (begin + width < bytes.size()) {
    // The last borders in the window's first three quarters, down to a quarter.
    size_t last = 0, border = begin;
    while (last < window.size() && border + window[last].size <= begin + width / 4 * 3)
      border += window[last++].size;
    bool joined = false;
    for (int tries = 0; tries < 4 && last > 0 && border >= begin + width / 4; ++tries) {
      const size_t left = window[last - 1].size;
      merge(bytes.substr(border, width), scratch, following);
      merge(bytes.substr(border - left, left + following[0].size), scratch, joint);
      joined = joint.size() == 2 && joint[0].size == left;
      if (joined) break;
      border -= window[--last].size;
    }
    if (joined) {
      for (size_t i = 0; i < last; ++i) out.push_back(window[i].id);
      begin = border;
      std::swap(window, following);
    } else {
      width *= 2;
      merge(bytes.substr(begin, width), scratch, window);
    }
  }
  for (const Piece& piece : window) out.push_back(piece.id);
}

// The definition: replaces out by the encoding of bytes, all of which the vocabulary has.
void Bpe::merge(std::string_view bytes, Scratch& scratch, std::vector<Piece>& out) const {
  if (bytes.size() > std::numeric_limits<uint32_t>::max())  // positions have 32 bits
    throw ValueError("Bpe::encode", "a window below 4 GiB", std::to_string(bytes.size()) + " bytes");
  // merges[i] is what the pair of the symbols at i and behind it becomes.
  scratch.ids.resize(bytes.size());
  scratch.merges.assign(bytes.size(), {no_rank, 0});
  for (size_t i = 0; i < bytes.size(); ++i) {
    const uint8_t b = static_cast<uint8_t>(bytes[i]);
    scratch.ids[i] = byte_ids_[b];
    if (i > 0) scratch.merges[i - 1] = byte_pairs_[static_cast<uint8_t>(bytes[i - 1]) * size_t{256} + b];
  }
  out.clear();
  if (bytes.size() <= scan_limit) {
    merge_by_scan(bytes, scratch, out);
  } else {
    merge_by_heap(bytes, scratch, out);
  }
}

// Symbols stay where their first byte stood; bit i of `alive` says that one begins at i. keys[i] is a pair's rank with
// its position in the low 6 bits, so that the smallest key is the merge to make.
void Bpe::merge_by_scan(std::string_view bytes, Scratch& scratch, std::vector<Piece>& out) const {
  const uint32_t n = static_cast<uint32_t>(bytes.size());
  int32_t* ids = scratch.ids.data();
  Learned* learned = scratch.merges.data();
  scratch.keys.assign(scan_limit, no_key);
  uint32_t* keys = scratch.keys.data();
  const auto key = [](int32_t rank, uint32_t at) {
    return rank == no_rank ? no_key : static_cast<uint32_t>(rank) << 6 | at;
  };
  const uint32_t padded = (n + 7) / 8 * 8;  // whole vectors
  for (uint32_t i = 0; i < n; ++i) keys[i] = key(learned[i].rank, i);
  uint64_t alive = n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
  const auto update = [&](uint32_t at, uint32_t next) {
    learned[at] = find(ids[at], ids[next]);
    keys[at] = key(learned[at].rank, at);
  };
  for (;;) {
    uint32_t best = no_key;
    for (uint32_t i = 0; i < padded; ++i) best = std::min(best, keys[i]);
    if (best == no_key) break;
    const uint32_t at = best & 63;
    const uint64_t here = UINT64_C(1) << at;
    const uint64_t after = alive & ~(here | (here - 1));  // not empty: the pair has a right symbol
    alive &= ~(after & -after);
    ids[at] = learned[at].result;
    keys[std::countr_zero(after)] = keys[at] = no_key;
    if (const uint64_t next = after & (after - 1)) update(at, static_cast<uint32_t>(std::countr_zero(next)));
    if (const uint64_t before = alive & (here - 1))
      update(63 - static_cast<uint32_t>(std::countl_zero(before)), at);
  }
  while (alive != 0) {
    const uint32_t at = static_cast<uint32_t>(std::countr_zero(alive));
    alive &= alive - 1;
    const uint32_t end = alive != 0 ? static_cast<uint32_t>(std::countr_zero(alive)) : n;
    out.push_back({ids[at], end - at});
  }
}

// The symbols as a linked list, the pairs in a heap of (rank, position). An entry whose pair has changed since is
// known by its rank.
void Bpe::merge_by_heap(std::string_view bytes, Scratch& scratch, std::vector<Piece>& out) const {
  const uint32_t n = static_cast<uint32_t>(bytes.size());
  std::vector<int32_t>& ids = scratch.ids;
  std::vector<Learned>& merges = scratch.merges;
  std::vector<uint32_t>&previous = scratch.previous, &next = scratch.next;
  std::vector<uint64_t>& heap = scratch.heap;
  previous.resize(n);
  next.resize(n);
  heap.clear();
  const auto entry = [&](uint32_t i) { return static_cast<uint64_t>(merges[i].rank) << 32 | i; };
  for (uint32_t i = 0; i < n; ++i) {
    previous[i] = i - 1;  // of the first: never asked
    next[i] = i + 1;
    if (merges[i].rank != no_rank) heap.push_back(entry(i));
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());

  const auto update = [&](uint32_t i) {
    merges[i] = next[i] < n ? find(ids[i], ids[next[i]]) : Learned{no_rank, 0};
    if (merges[i].rank == no_rank) return;
    heap.push_back(entry(i));
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const uint64_t top = heap.back();
    heap.pop_back();
    const uint32_t at = static_cast<uint32_t>(top);
    if (merges[at].rank != static_cast<int32_t>(top >> 32)) continue;
    const uint32_t gone = next[at];
    ids[at] = merges[at].result;
    merges[gone].rank = no_rank;
    next[at] = next[gone];
    if (next[at] < n) previous[next[at]] = at;
    update(at);
    if (at > 0) update(previous[at]);
  }
  for (uint32_t i = 0; i < n; i = next[i]) out.push_back({ids[i], next[i] - i});
}

}  // namespace dsllm::ref
