// From a pre-token to its id in one look-up, for the pre-tokens (87% of running text) that are one token.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace dsllm::ref {

// Mixes 8 bytes at a time; the last 8 may overlap those before.
inline uint64_t hash_bytes(std::string_view s) {
  const auto load = [](const char* p, auto word) {
    std::memcpy(&word, p, sizeof word);
    return static_cast<uint64_t>(word);
  };
  const auto mix = [](uint64_t h, uint64_t word) {
    h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 32;
  };
  const char* p = s.data();
  size_t n = s.size();
  uint64_t h = n;
  if (n >= 8) {
    for (; n > 8; n -= 8, p += 8) h = mix(h, load(p, uint64_t{}));
    return mix(h, load(s.data() + s.size() - 8, uint64_t{}));
  }
  if (n >= 4) return mix(h, load(p, uint32_t{}) | load(p + n - 4, uint32_t{}) << 32);
  if (n == 0) return h;
  return mix(h, load(p, uint8_t{}) | load(p + n / 2, uint8_t{}) << 8 | load(p + n - 1, uint8_t{}) << 16);
}

// Byte strings to ids. Keeps views: the strings must outlive it.
class WholeTokens {
 public:
  explicit WholeTokens(size_t capacity) {
    size_t slots = 16;
    while (slots < 2 * capacity) slots *= 2;
    slots_.resize(slots);
  }

  // At most `capacity` times; of equal strings the first stays.
  void insert(std::string_view bytes, int32_t id) {
    const uint64_t hash = hash_bytes(bytes);
    Slot& slot = slots_[find_slot(bytes, hash)];
    if (slot.id < 0) slot = {bytes.data(), static_cast<uint32_t>(bytes.size()), id};
  }

  // -1 if it is not there. hash is hash_bytes(bytes).
  int32_t find(std::string_view bytes, uint64_t hash) const { return slots_[find_slot(bytes, hash)].id; }

 private:
  struct Slot {
    const char* data = nullptr;
    uint32_t size = 0;
    int32_t id = -1;
  };

  size_t find_slot(std::string_view bytes, uint64_t hash) const {
    const size_t mask = slots_.size() - 1;
    size_t i = static_cast<size_t>(hash) & mask;
    while (slots_[i].id >= 0 && std::string_view(slots_[i].data, slots_[i].size) != bytes) i = (i + 1) & mask;
    return i;
  }

  std::vector<Slot> slots_;
};

}  // namespace dsllm::ref
