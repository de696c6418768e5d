// bf16: the upper half of a float (1 sign, 8 exponent, 7 mantissa bits), stored in 16 bits; and f16 (IEEE half:
// 1, 5, 10), which is only read from and written to files.
//
// Rounding is to nearest, ties to even, as CUDA's __float2bfloat16_rn does; NaN becomes the canonical 0x7fff, as
// there. Arithmetic happens in float: a bf16 converts itself, and is made explicitly.
#pragma once

#include <bit>
#include <cstdint>

#include "ref/core/view.hpp"
#if defined(__CUDACC__)
#include <cuda_bf16.h>
#endif

namespace dsllm {

struct bf16 {
  uint16_t bits;  // bf16() leaves it open, as CUDA asks of what lies in shared memory; bf16{} is 0

  bf16() = default;
  DSLLM_HD explicit bf16(float x) : bits(round(x)) {}
  DSLLM_HD operator float() const { return from_bits(static_cast<uint32_t>(bits) << 16); }

  DSLLM_HD static uint16_t round(float x) {
#if defined(__CUDA_ARCH__)
    return __bfloat16_as_ushort(__float2bfloat16_rn(x));  // one instruction; the same bits
#else
    const uint32_t u = to_bits(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fff;  // NaN
    // Half a unit of the last kept bit, less one unless that bit is odd; the carry may run into the exponent
    // (to infinity in the end), which is what rounding means.
    return static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
#endif
  }

 private:
#if defined(__CUDA_ARCH__)
  __device__ static uint32_t to_bits(float x) {
    return __float_as_uint(x);
  }
  __device__ static float from_bits(uint32_t u) {
    return __uint_as_float(u);
  }
#else
  static uint32_t to_bits(float x) {
    return std::bit_cast<uint32_t>(x);
  }
  static float from_bits(uint32_t u) {
    return std::bit_cast<float>(u);
  }
#endif
};
static_assert(sizeof(bf16) == 2);

// IEEE half as it lies in a file.
struct f16 {
  uint16_t bits = 0;
};
static_assert(sizeof(f16) == 2);

// Exact: every half is a float.
inline float f16_to_float(f16 h) {
  const uint32_t sign = static_cast<uint32_t>(h.bits & 0x8000u) << 16;
  const uint32_t exponent = (h.bits >> 10) & 0x1fu;
  const uint32_t mantissa = h.bits & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));  // infinity, NaN
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // zero and subnormals
  return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
}

// To nearest, ties to even; beyond 65504 (+ half a unit) to infinity.
inline f16 float_to_f16(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  const uint16_t sign = static_cast<uint16_t>((u >> 16) & 0x8000u);
  const uint32_t magnitude = u & 0x7fffffffu;
  const auto make = [&](uint32_t bits) { return f16{static_cast<uint16_t>(sign | bits)}; };
  if (magnitude > 0x7f800000u) return f16{0x7fff};    // NaN, without a sign as in CUDA
  if (magnitude >= 0x477ff000u) return make(0x7c00);  // 65520 and above
  if (magnitude < 0x38800000u) {
    // A subnormal half: a whole number of 2^-24. Adding 0.5 leaves that number in the low bits of the float, rounded.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return make(std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return make((rounded - 0x38000000u) >> 13);
}

}  // namespace dsllm
