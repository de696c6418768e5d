#include "tests/simt/cuda_types.hpp"

#if __has_include(<cuda_bf16.h>) && __has_include(<cuda_fp16.h>)
// Other names than the executor's, lest the linker take one's inline functions for the other's.
#define __half cuda_header_half
#define __half2 cuda_header_half2
#define __nv_bfloat16 cuda_header_bf16
#define __nv_bfloat162 cuda_header_bf162
#define dim3 cuda_header_dim3
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define DSLLM_CUDA_TYPES
#endif

namespace dsllm::simt_test {

#ifdef DSLLM_CUDA_TYPES

namespace {

template <class H, class Raw>
uint16_t apply(HalfOp op, uint16_t a_bits, uint16_t b_bits) {
  Raw ra{}, rb{};
  ra.x = a_bits, rb.x = b_bits;
  const H a(ra), b(rb);
  const auto bits = [](H h) { return static_cast<Raw>(h).x; };
  switch (op) {
    case HalfOp::add:
      return bits(__hadd(a, b));
    case HalfOp::sub:
      return bits(__hsub(a, b));
    case HalfOp::mul:
      return bits(__hmul(a, b));
    case HalfOp::div:
      return bits(__hdiv(a, b));
    case HalfOp::neg:
      return bits(__hneg(a));
    case HalfOp::max:
      return bits(__hmax(a, b));
    case HalfOp::min:
      return bits(__hmin(a, b));
    case HalfOp::lt:
      return __hlt(a, b);
    case HalfOp::gt:
      return __hgt(a, b);
    case HalfOp::eq:
      return __heq(a, b);
    default:
      return __hisnan(a);
  }
}

}  // namespace

bool cuda_headers_installed() {
  return true;
}
uint16_t cuda_bf16(HalfOp op, uint16_t a, uint16_t b) {
  return apply<__nv_bfloat16, __nv_bfloat16_raw>(op, a, b);
}
uint16_t cuda_f16(HalfOp op, uint16_t a, uint16_t b) {
  return apply<__half, __half_raw>(op, a, b);
}

#else

bool cuda_headers_installed() {
  return false;
}
uint16_t cuda_bf16(HalfOp, uint16_t, uint16_t) {
  return 0;
}
uint16_t cuda_f16(HalfOp, uint16_t, uint16_t) {
  return 0;
}

#endif

}  // namespace dsllm::simt_test
