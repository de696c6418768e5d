// What threads do together: barriers of a block, and the collectives of a warp.
// CUDA C++ Programming Guide, "Synchronization Functions", "Warp Shuffle Functions" and the sections around them.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/simt/block.hpp"

// Functions in which a kernel hands over are part of it.
#define SIMT_INLINE [[gnu::always_inline]] inline

#define SIMT_BARRIER(kind, predicate) \
  ::dsllm::cuda::simt::hand_over(     \
      ::dsllm::cuda::simt::current->barrier(::dsllm::cuda::simt::BarrierKind::kind, predicate, SIMT_SITE))
SIMT_INLINE void __syncthreads(SIMT_CALLER) {
  SIMT_BARRIER(sync, false);
}
// Also the number of threads whose predicate is not zero; whether all are; whether any is.
SIMT_INLINE int __syncthreads_count(int predicate, SIMT_CALLER) {
  SIMT_BARRIER(count, predicate != 0);
  return ::dsllm::cuda::simt::current->barrier_result();
}
SIMT_INLINE int __syncthreads_and(int predicate, SIMT_CALLER) {
  SIMT_BARRIER(all, predicate != 0);
  return ::dsllm::cuda::simt::current->barrier_result();
}
SIMT_INLINE int __syncthreads_or(int predicate, SIMT_CALLER) {
  SIMT_BARRIER(any, predicate != 0);
  return ::dsllm::cuda::simt::current->barrier_result();
}
#undef SIMT_BARRIER

namespace dsllm::cuda::simt {

enum class Reduction { add, min, max, bit_and, bit_or, bit_xor };

// Bodies in warp.cpp. The calling thread hands over; then result() has its answer. Values travel as 64 bits; for a shuffle the
// kernel puts them down itself.
Handover sync_warp(uint32_t mask, Site site);
Handover shuffle(Block& block, uint32_t mask, unsigned source, const char* operation, Site site);
Handover ballot(uint32_t mask, bool predicate, const char* operation, Site site);
Handover match(uint32_t mask, uint64_t value, const char* operation,
               Site site);  // the lanes with the same value
Handover reduce(uint32_t mask, int64_t value, Reduction reduction, const char* operation, Site site);

SIMT_INLINE uint64_t result_of(Handover turn) {
  hand_over(turn);
  return current->result();
}

[[noreturn]] void wrong_width(unsigned width, const char* operation, Site site);

template <class T>
SIMT_INLINE T shuffle_as(uint32_t mask, T value, unsigned source, unsigned width, const char* operation,
                         Site site) {
  if (!std::has_single_bit(width) || width > warp_size) wrong_width(width, operation, site);
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  Block& block = *current;
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  block.warp().value[block.lane()] = bits;
  block.warp().source[block.lane()] = source;
  bits = result_of(shuffle(block, mask, source, operation, site));
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
template <class T>
uint64_t bits_of(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

}  // namespace dsllm::cuda::simt

SIMT_INLINE void __syncwarp(unsigned mask = 0xffffffffu, SIMT_CALLER) {
  ::dsllm::cuda::simt::hand_over(::dsllm::cuda::simt::sync_warp(mask, SIMT_SITE));
}
SIMT_INLINE unsigned __activemask(SIMT_CALLER) {
  return static_cast<unsigned>(
      ::dsllm::cuda::simt::result_of(::dsllm::cuda::simt::current->active_mask(SIMT_SITE)));
}
// Orders memory between threads; the executor's threads see each other's writes at once.
void __threadfence();
void __threadfence_block();
void __threadfence_system();

// A warp is cut into segments of `width` lanes (a power of two); lanes count within their segment.
template <class T>
SIMT_INLINE T __shfl_sync(unsigned mask, T value, int source, int width = 32, SIMT_CALLER) {
  const unsigned lane = ::dsllm::cuda::simt::current->lane(), w = static_cast<unsigned>(width);
  return ::dsllm::cuda::simt::shuffle_as(mask, value,
                                         (lane & ~(w - 1)) + (static_cast<unsigned>(source) & (w - 1)), w,
                                         "__shfl_sync", SIMT_SITE);
}
// A lane whose source lies outside of its segment keeps its own value.
template <class T>
SIMT_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_CALLER) {
  const unsigned lane = ::dsllm::cuda::simt::current->lane(), w = static_cast<unsigned>(width);
  return ::dsllm::cuda::simt::shuffle_as(mask, value, (lane & (w - 1)) >= delta ? lane - delta : lane, w,
                                         "__shfl_up_sync", SIMT_SITE);
}
template <class T>
SIMT_INLINE T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_CALLER) {
  const unsigned lane = ::dsllm::cuda::simt::current->lane(), w = static_cast<unsigned>(width);
  return ::dsllm::cuda::simt::shuffle_as(mask, value, delta < w - (lane & (w - 1)) ? lane + delta : lane, w,
                                         "__shfl_down_sync", SIMT_SITE);
}
// An earlier segment can be read, a later one not.
template <class T>
SIMT_INLINE T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, SIMT_CALLER) {
  const unsigned lane = ::dsllm::cuda::simt::current->lane(), w = static_cast<unsigned>(width);
  const unsigned source = lane ^ static_cast<unsigned>(lane_mask);
  return ::dsllm::cuda::simt::shuffle_as(mask, value, source < (lane & ~(w - 1)) + w ? source : lane, w,
                                         "__shfl_xor_sync", SIMT_SITE);
}

SIMT_INLINE unsigned __ballot_sync(unsigned mask, int predicate, SIMT_CALLER) {
  return static_cast<unsigned>(::dsllm::cuda::simt::result_of(
      ::dsllm::cuda::simt::ballot(mask, predicate != 0, "__ballot_sync", SIMT_SITE)));
}
SIMT_INLINE int __any_sync(unsigned mask, int predicate, SIMT_CALLER) {
  return ::dsllm::cuda::simt::result_of(
             ::dsllm::cuda::simt::ballot(mask, predicate != 0, "__any_sync", SIMT_SITE)) != 0;
}
SIMT_INLINE int __all_sync(unsigned mask, int predicate, SIMT_CALLER) {
  return ::dsllm::cuda::simt::result_of(
             ::dsllm::cuda::simt::ballot(mask, predicate == 0, "__all_sync", SIMT_SITE)) == 0;
}

template <class T>
SIMT_INLINE unsigned __match_any_sync(unsigned mask, T value, SIMT_CALLER) {
  return static_cast<unsigned>(::dsllm::cuda::simt::result_of(
      ::dsllm::cuda::simt::match(mask, ::dsllm::cuda::simt::bits_of(value), "__match_any_sync", SIMT_SITE)));
}
// The mask if all its lanes have the same value, else 0; *all says which.
template <class T>
SIMT_INLINE unsigned __match_all_sync(unsigned mask, T value, int* all, SIMT_CALLER) {
  const auto same = static_cast<unsigned>(::dsllm::cuda::simt::result_of(
      ::dsllm::cuda::simt::match(mask, ::dsllm::cuda::simt::bits_of(value), "__match_all_sync", SIMT_SITE)));
  const unsigned lanes = mask & ::dsllm::cuda::simt::current->warp().lanes;
  *all = same == lanes;
  return *all ? lanes : 0;
}

#define SIMT_REDUCE(T, name, kind)                                                                  \
  SIMT_INLINE T __reduce_##name##_sync(unsigned mask, T value, SIMT_CALLER) {                       \
    return static_cast<T>(::dsllm::cuda::simt::result_of(::dsllm::cuda::simt::reduce(               \
        mask, value, ::dsllm::cuda::simt::Reduction::kind, "__reduce_" #name "_sync", SIMT_SITE))); \
  }
SIMT_REDUCE(unsigned, add, add)
SIMT_REDUCE(int, add, add)
SIMT_REDUCE(unsigned, min, min)
SIMT_REDUCE(int, min, min)
SIMT_REDUCE(unsigned, max, max)
SIMT_REDUCE(int, max, max)
SIMT_REDUCE(unsigned, and, bit_and)
SIMT_REDUCE(unsigned, or, bit_or)
SIMT_REDUCE(unsigned, xor, bit_xor)
#undef SIMT_REDUCE
#undef SIMT_INLINE
