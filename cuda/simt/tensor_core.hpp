// Tensor-core instructions and asynchronous copies on a CPU. Kernels use them through cuda/core/tensor_core.hpp and
// cuda/core/async_copy.hpp.
//
// Fragments lie in registers as the PTX ISA says ("Matrix Fragments for mma.m16n8k16"). With g = lane / 4 and t = lane % 4:
//   A [16, 16]  a0 (g, 2t..)  a1 (g+8, 2t..)  a2 (g, 2t+8..)  a3 (g+8, 2t+8..)      two numbers a register, low half first
//   B [16, 8]   b0 (2t.., g)  b1 (2t+8.., g)
//   C [16, 8]   c0 (g, 2t)  c1 (g, 2t+1)  c2 (g+8, 2t)  c3 (g+8, 2t+1)
// Products are exact in float and added in float, in the order of k. A tensor core adds them with other roundings, which
// nobody publishes; results differ in the last bits.
#pragma once

#include <cstdint>

#include "cuda/simt/block.hpp"

namespace dsllm::cuda::simt {

enum class MmaType { bf16, f16, tf32 };

// The calling thread hands over after mma and load_matrix; then its registers have the result.
//
// d += a b, for all 32 lanes. m16n8k16 for bf16 and f16; m16n8k8 for tf32, whose a has four and b two registers too.
Handover mma(MmaType type, float* d, const uint32_t* a, const uint32_t* b, Site site);

// Loads `count` (1, 2, 4) 8x8 matrices of 16-bit numbers. Lane 8 i + r brings the address of row r of matrix i, 16 bytes in
// shared memory; lane l receives numbers 2 (l % 4) and 2 (l % 4) + 1 of row l / 4, or of column l / 4 if transposed.
Handover load_matrix(int count, bool transposed, uint32_t* registers, const void* row, Site site);

// cp.async of 4, 8 or 16 bytes; of them the last `bytes - valid` become zero. The copy happens when it is waited for, so that
// a kernel which does not wait sees what was there before.
void copy_async(void* shared, const void* global, int bytes, int valid);
void commit_copies();
// Does the copies of all committed groups but the last n.
void wait_copies(unsigned n);
void wait_all_copies();  // of uncommitted ones too

}  // namespace dsllm::cuda::simt
