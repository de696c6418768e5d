// CUDA's own bf16 and f16 arithmetic, by bits: it judges the executor's where CUDA's headers are installed. Behind a door of
// its own, since both define the same names.
#pragma once

#include <cstdint>

namespace dsllm::simt_test {

enum class HalfOp { add, sub, mul, div, neg, max, min, lt, gt, eq, isnan };

bool cuda_headers_installed();
// Comparisons give 0 or 1.
uint16_t cuda_bf16(HalfOp op, uint16_t a, uint16_t b);
uint16_t cuda_f16(HalfOp op, uint16_t a, uint16_t b);

}  // namespace dsllm::simt_test
