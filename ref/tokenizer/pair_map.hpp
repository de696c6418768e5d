// PairMap<V>: a hash table from a pair of token ids to V, with open addressing: the one lookup that BPE does all day.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace dsllm::ref {

struct Pair {
  int32_t left, right;
  auto operator<=>(const Pair&) const = default;
};

// Fibonacci hashing: the high bits of a product with 2^64 / golden ratio are well mixed.
inline uint64_t hash_pair(Pair pair) {
  const uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(pair.left)) << 32 | static_cast<uint32_t>(pair.right);
  return (key ^ key >> 29) * UINT64_C(0x9E3779B97F4A7C15);
}

template <class V>
class PairMap {
 public:
  // nullptr if the pair is not there. hash is hash_pair(pair).
  const V* find(Pair pair, uint64_t hash) const {
    for (size_t i = home(hash);; i = (i + 1) & mask_) {
      if (slots_[i].pair == pair) return &slots_[i].value;
      if (slots_[i].pair.left < 0) return nullptr;
    }
  }

  // The pair's value, made if it was not there. Ids must not be negative. The reference holds until the next call.
  V& operator[](Pair pair) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    for (size_t i = home(hash_pair(pair));; i = (i + 1) & mask_) {
      if (slots_[i].pair == pair) return slots_[i].value;
      if (slots_[i].pair.left < 0) {
        slots_[i].pair = pair;
        ++size_;
        return slots_[i].value;
      }
    }
  }

  size_t size() const { return size_; }

  // Calls f(pair, value) for every entry, in no useful order.
  template <class F>
  void for_each(F&& f) const {
    for (const Slot& slot : slots_)
      if (slot.pair.left >= 0) f(slot.pair, slot.value);
  }

 private:
  struct Slot {
    Pair pair{-1, -1};
    V value{};
  };

  size_t home(uint64_t hash) const { return static_cast<size_t>(hash >> 32) & mask_; }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    mask_ = slots_.size() - 1;
    size_ = 0;
    for (Slot& slot : old)
      if (slot.pair.left >= 0) (*this)[slot.pair] = std::move(slot.value);
  }

  std::vector<Slot> slots_ = std::vector<Slot>(16);  // at most half full; a power of two
  size_t mask_ = 15;
  size_t size_ = 0;
};

}  // namespace dsllm::ref
