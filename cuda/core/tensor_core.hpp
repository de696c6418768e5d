// Tensor cores: 16x8 tiles of products, computed by a warp together, and the loads that bring operands into its registers.
//
// Fragments (PTX ISA, "Matrix Fragments for mma.m16n8k16"); g = lane / 4, t = lane % 4; a register holds two 16-bit numbers:
//   A [16, 16]  a0 (g, 2t..)  a1 (g+8, 2t..)  a2 (g, 2t+8..)  a3 (g+8, 2t+8..)
//   B [16, 8]   b0 (2t.., g)  b1 (2t+8.., g)
//   C [16, 8]   c0 (g, 2t)  c1 (g, 2t+1)  c2 (g+8, 2t)  c3 (g+8, 2t+1)
// m16n8k8 of tf32: A [16, 8]  a0 (g, t)  a1 (g+8, t)  a2 (g, t+4)  a3 (g+8, t+4);  B [8, 8]  b0 (t, g)  b1 (t+4, g).
#pragma once

#include "cuda/core/kernel.hpp"
#if !defined(__CUDACC__)
#include "cuda/simt/tensor_core.hpp"
#endif

namespace dsllm::cuda {

// Two numbers as one register, `low` in the lower half.
__device__ inline uint32_t pack_bf16(float low, float high) {
#if defined(__CUDACC__)
  const __nv_bfloat162 v = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&v);
#else
  return bf16(low).bits | static_cast<uint32_t>(bf16(high).bits) << 16;
#endif
}

// A float as tf32: 10 bits of mantissa, to nearest, ties away from zero (cvt.rna.tf32.f32).
__device__ inline uint32_t to_tf32(float x) {
#if defined(__CUDACC__)
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
#else
  const uint32_t u = __float_as_uint(x);
  return (u & 0x7f800000u) == 0x7f800000u ? u : (u + 0x1000u) & 0xffffe000u;
#endif
}

#if defined(__CUDACC__)

#define DSLLM_MMA_16816(name, type)                                                         \
  __device__ inline void name(float(&d)[4], const uint32_t(&a)[4], const uint32_t(&b)[2]) { \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type                     \
                 ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"     \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                           \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));       \
  }
// d += a b
DSLLM_MMA_16816(mma_bf16, "bf16")
DSLLM_MMA_16816(mma_f16, "f16")
#undef DSLLM_MMA_16816
__device__ inline void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, "
      "%1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ inline uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
#define DSLLM_LDMATRIX(name, trans)                                                          \
  __device__ inline void name(uint32_t(&r)[1], const void* row) {                            \
    asm volatile("ldmatrix.sync.aligned.m8n8.x1" trans ".shared.b16 {%0}, [%1];"             \
                 : "=r"(r[0])                                                                \
                 : "r"(shared_address(row))                                                  \
                 : "memory");                                                                \
  }                                                                                          \
  __device__ inline void name(uint32_t(&r)[2], const void* row) {                            \
    asm volatile("ldmatrix.sync.aligned.m8n8.x2" trans ".shared.b16 {%0, %1}, [%2];"         \
                 : "=r"(r[0]), "=r"(r[1])                                                    \
                 : "r"(shared_address(row))                                                  \
                 : "memory");                                                                \
  }                                                                                          \
  __device__ inline void name(uint32_t(&r)[4], const void* row) {                            \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" trans ".shared.b16 {%0, %1, %2, %3}, [%4];" \
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])                            \
                 : "r"(shared_address(row))                                                  \
                 : "memory");                                                                \
  }
// One, two or four 8x8 matrices of 16-bit numbers from shared memory, by the size of r. Lane 8 i + j brings the address of
// row j of matrix i (16 bytes, aligned); lane l receives numbers 2 (l % 4), 2 (l % 4) + 1 of row l / 4. Transposed: of
// column l / 4.
DSLLM_LDMATRIX(ldmatrix, "")
DSLLM_LDMATRIX(ldmatrix_transposed, ".trans")
#undef DSLLM_LDMATRIX

#else

inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], SIMT_CALLER) {
  simt::hand_over(simt::mma(simt::MmaType::bf16, d, a, b, SIMT_SITE));
}
inline void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], SIMT_CALLER) {
  simt::hand_over(simt::mma(simt::MmaType::f16, d, a, b, SIMT_SITE));
}
inline void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], SIMT_CALLER) {
  simt::hand_over(simt::mma(simt::MmaType::tf32, d, a, b, SIMT_SITE));
}
template <int N>
void ldmatrix(uint32_t (&r)[N], const void* row, SIMT_CALLER) {
  static_assert(N == 1 || N == 2 || N == 4);
  simt::hand_over(simt::load_matrix(N, false, r, row, SIMT_SITE));
}
template <int N>
void ldmatrix_transposed(uint32_t (&r)[N], const void* row, SIMT_CALLER) {
  static_assert(N == 1 || N == 2 || N == 4);
  simt::hand_over(simt::load_matrix(N, true, r, row, SIMT_SITE));
}

#endif

}  // namespace dsllm::cuda
