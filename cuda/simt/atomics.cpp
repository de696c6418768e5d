#include "cuda/simt/atomics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>

#include "cuda/simt/block.hpp"
#include "cuda/simt/checks.hpp"

namespace {

using dsllm::cuda::simt::check_atomic;

// Replaces *address by f(*address), as often as it takes until nobody came between.
template <class T, class F>
T update(T* address, const F& f) {
  std::atomic_ref<T> cell(*address);
  T old = cell.load(std::memory_order_relaxed);
  while (!cell.compare_exchange_weak(old, f(old))) {
  }
  return old;
}

// Numbers that no processor adds atomically as such: by their bits.
template <class Bits, class T, class F>
T update_bits(T* address, const F& f) {
  static_assert(sizeof(Bits) == sizeof(T));
  return std::bit_cast<T>(update(reinterpret_cast<Bits*>(address),
                                 [&](Bits old) { return std::bit_cast<Bits>(f(std::bit_cast<T>(old))); }));
}

}  // namespace

#define SIMT_PLACE check_atomic(address, sizeof *address, __builtin_return_address(0))
#define SIMT_UPDATE(T, name, expression)                            \
  T name(T* address, T value) {                                     \
    SIMT_PLACE;                                                     \
    return update(address, [&](T old) -> T { return expression; }); \
  }
#define SIMT_ATOMICS(T)                                                               \
  SIMT_UPDATE(T, atomicAdd, old + value)                                              \
  SIMT_UPDATE(T, atomicSub, old - value)                                              \
  SIMT_UPDATE(T, atomicExch, ((void)old, value))                                      \
  SIMT_UPDATE(T, atomicMin, std::min(old, value))                                     \
  SIMT_UPDATE(T, atomicMax, std::max(old, value))                                     \
  SIMT_UPDATE(T, atomicAnd, old& value)                                               \
  SIMT_UPDATE(T, atomicOr, old | value)                                               \
  SIMT_UPDATE(T, atomicXor, old ^ value)                                              \
  T atomicCAS(T* address, T compare, T value) {                                       \
    SIMT_PLACE;                                                                       \
    return update(address, [&](T old) -> T { return old == compare ? value : old; }); \
  }
SIMT_ATOMICS(int)
SIMT_ATOMICS(unsigned)
SIMT_ATOMICS(unsigned long long)
SIMT_UPDATE(long long, atomicMin, std::min(old, value))
SIMT_UPDATE(long long, atomicMax, std::max(old, value))
SIMT_UPDATE(unsigned, atomicInc, old >= value ? 0 : old + 1)
SIMT_UPDATE(unsigned, atomicDec, old == 0 || old > value ? value : old - 1)

float atomicAdd(float* address, float value) {
  SIMT_PLACE;
  return update_bits<uint32_t>(address, [&](float old) { return old + value; });
}
double atomicAdd(double* address, double value) {
  SIMT_PLACE;
  return update_bits<uint64_t>(address, [&](double old) { return old + value; });
}
float atomicExch(float* address, float value) {
  SIMT_PLACE;
  return update_bits<uint32_t>(address, [&](float) { return value; });
}
__nv_bfloat162 atomicAdd(__nv_bfloat162* address, __nv_bfloat162 value) {
  SIMT_PLACE;
  return update_bits<uint32_t>(address, [&](__nv_bfloat162 old) { return __hadd2(old, value); });
}
__half2 atomicAdd(__half2* address, __half2 value) {
  SIMT_PLACE;
  return update_bits<uint32_t>(address, [&](__half2 old) { return __hadd2(old, value); });
}
