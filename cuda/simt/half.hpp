// bf16 and fp16 as cuda_bf16.h and cuda_fp16.h name them: each operation computes in float and rounds once, to nearest, ties
// to even; __hfma rounds once at its end.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "ref/core/bf16.hpp"

using __nv_bfloat16 = ::dsllm::bf16;

struct __half {
  uint16_t bits;
  __half() = default;
  explicit __half(float x) : bits(::dsllm::float_to_f16(x).bits) {}
  operator float() const { return ::dsllm::f16_to_float({bits}); }
};

struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};
struct alignas(4) __half2 {
  __half x, y;
};
using half = __half;
using half2 = __half2;

namespace dsllm::cuda::simt {

// a * b + c with one rounding to H. In double the product is exact and the sum is rounded to 53 bits, many more than two
// times those of H plus two, except where a far smaller c decides a tie: there the sum is made odd.
template <class H>
H fma_once(H a, H b, H c) {
  const double product = static_cast<double>(float{a}) * static_cast<double>(float{b});
  const double addend = static_cast<double>(float{c});
  double sum = product + addend;
  // What the sum lost (Knuth's two-sum); if anything, the last bit must say so: round to odd.
  const double part = sum - product;
  const double lost = (product - (sum - part)) + (addend - part);
  if (lost != 0 && std::isfinite(sum) && (std::bit_cast<uint64_t>(sum) & 1) == 0) {
    const bool away = (lost > 0) == (sum > 0);
    sum = std::bit_cast<double>(std::bit_cast<uint64_t>(sum) + (away ? 1 : -1));
    if ((std::bit_cast<uint64_t>(sum) & 1) == 0)
      sum = std::bit_cast<double>(std::bit_cast<uint64_t>(sum) | 1);
  }
  // To float by rounding to odd as well, then to H by the usual one.
  float f = static_cast<float>(sum);
  if (std::isfinite(f) && static_cast<double>(f) != sum && (std::bit_cast<uint32_t>(f) & 1) == 0) {
    const bool too_far = std::abs(static_cast<double>(f)) > std::abs(sum);
    f = std::bit_cast<float>(std::bit_cast<uint32_t>(f) + (too_far ? -1u : 1u));
  }
  return H(f);
}

// The number where one is NaN (std::fmax differs for those that signal); +0 is larger than -0.
template <class H>
H larger(H a, H b) {
  const float x = a, y = b;
  if (std::isnan(x)) return std::isnan(y) ? H(x) : b;
  return x > y || std::isnan(y) || (x == y && !std::signbit(x)) ? a : b;
}
template <class H>
H smaller(H a, H b) {
  const float x = a, y = b;
  if (std::isnan(x)) return std::isnan(y) ? H(x) : b;
  return x < y || std::isnan(y) || (x == y && std::signbit(x)) ? a : b;
}

}  // namespace dsllm::cuda::simt

inline __nv_bfloat16 __float2bfloat16(float x) {
  return __nv_bfloat16(x);
}
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  return __nv_bfloat16(x);
}
inline float __bfloat162float(__nv_bfloat16 x) {
  return x;
}
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
  return {__nv_bfloat16(x), __nv_bfloat16(y)};
}
inline float __low2float(__nv_bfloat162 v) {
  return v.x;
}
inline float __high2float(__nv_bfloat162 v) {
  return v.y;
}
inline __half __float2half(float x) {
  return __half(x);
}
inline __half __float2half_rn(float x) {
  return __half(x);
}
inline float __half2float(__half x) {
  return x;
}
inline __half2 __floats2half2_rn(float x, float y) {
  return {__half(x), __half(y)};
}
inline float __low2float(__half2 v) {
  return v.x;
}
inline float __high2float(__half2 v) {
  return v.y;
}

#define SIMT_HALF(H, H2)                                   \
  inline H __hadd(H a, H b) {                              \
    return H(float{a} + float{b});                         \
  }                                                        \
  inline H __hsub(H a, H b) {                              \
    return H(float{a} - float{b});                         \
  }                                                        \
  inline H __hmul(H a, H b) {                              \
    return H(float{a} * float{b});                         \
  }                                                        \
  inline H __hdiv(H a, H b) {                              \
    return H(float{a} / float{b});                         \
  }                                                        \
  inline H __hfma(H a, H b, H c) {                         \
    return ::dsllm::cuda::simt::fma_once(a, b, c);         \
  }                                                        \
  inline H __hneg(H a) {                                   \
    return H(-float{a});                                   \
  }                                                        \
  inline H __hmax(H a, H b) {                              \
    return ::dsllm::cuda::simt::larger(a, b);              \
  }                                                        \
  inline H __hmin(H a, H b) {                              \
    return ::dsllm::cuda::simt::smaller(a, b);             \
  }                                                        \
  inline bool __hlt(H a, H b) {                            \
    return float{a} < float{b};                            \
  }                                                        \
  inline bool __hgt(H a, H b) {                            \
    return float{a} > float{b};                            \
  }                                                        \
  inline bool __heq(H a, H b) {                            \
    return float{a} == float{b};                           \
  }                                                        \
  inline bool __hisnan(H a) {                              \
    return std::isnan(float{a});                           \
  }                                                        \
  inline H2 __hadd2(H2 a, H2 b) {                          \
    return {__hadd(a.x, b.x), __hadd(a.y, b.y)};           \
  }                                                        \
  inline H2 __hsub2(H2 a, H2 b) {                          \
    return {__hsub(a.x, b.x), __hsub(a.y, b.y)};           \
  }                                                        \
  inline H2 __hmul2(H2 a, H2 b) {                          \
    return {__hmul(a.x, b.x), __hmul(a.y, b.y)};           \
  }                                                        \
  inline H2 __hfma2(H2 a, H2 b, H2 c) {                    \
    return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; \
  }
SIMT_HALF(__nv_bfloat16, __nv_bfloat162)
SIMT_HALF(__half, __half2)
#undef SIMT_HALF
