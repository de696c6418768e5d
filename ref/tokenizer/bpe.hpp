// Byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909) of one pre-token: start from its bytes, and merge the
// adjacent pair whose merge was learned first, leftmost among equals, until no pair is left that was learned.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ref/tokenizer/pair_map.hpp"

namespace dsllm::ref {

// What was learned: merge k (its rank is its place in the list) replaces left, right by result.
struct Merge {
  int32_t left, right, result;
};

class Bpe {
 public:
  // byte_ids[b]: the id of byte b, or -1 if the vocabulary has none. No pair may stand in merges twice.
  Bpe(const std::array<int32_t, 256>& byte_ids, const std::vector<Merge>& merges);

  // What a pair becomes, and when; rank no_rank if it was not learned.
  struct Learned {
    int32_t rank, result;
  };
  static constexpr int32_t no_rank = INT32_MAX;

  // A token, and how many bytes it covers.
  struct Piece {
    int32_t id;
    uint32_t size;
  };

  // Memory that encode() uses again from call to call.
  struct Scratch {
    std::vector<int32_t> ids;
    std::vector<Learned> merges;
    std::vector<uint32_t> keys, previous, next;
    std::vector<uint64_t> heap;
    std::vector<Piece> window, following, joint;
  };

  // Appends the ids of the pre-token. Bytes that the vocabulary lacks are left out, and their neighbors are then
  // neighbors, as in the `tokenizers` library; has_all_bytes() tells. Time O(n log n) for n bytes whatever they are, in
  // text O(n); memory O(longest window that encode_long() needs).
  void encode(std::string_view pretoken, Scratch& scratch, std::vector<int32_t>& out) const;

  bool has_all_bytes(std::string_view pretoken) const;
  int32_t byte_id(uint8_t byte) const { return byte_ids_[byte]; }

 private:
  Learned find(int32_t left, int32_t right) const;
  void encode_long(std::string_view bytes, Scratch& scratch, std::vector<int32_t>& out) const;
  void merge(std::string_view bytes, Scratch& scratch, std::vector<Piece>& out) const;
  void merge_by_scan(std::string_view bytes, Scratch& scratch, std::vector<Piece>& out) const;
  void merge_by_heap(std::string_view bytes, Scratch& scratch, std::vector<Piece>& out) const;

  std::array<int32_t, 256> byte_ids_;
  PairMap<Learned> learned_;  // of a pair of ids
  std::vector<uint64_t>
      maybe_;  // a bit for the hash of every pair that is learned: most are not, and this says
               // so from a nearer cache
  std::vector<Learned> byte_pairs_;  // [256 * 256]: the same for two bytes, where every pre-token begins
};

}  // namespace dsllm::ref
