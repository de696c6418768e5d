// How long kernels take: what of a datasheet's figure is reached, by the size and the shape of the work.
#pragma once

#include "sim/constants.hpp"
#include "sim/scenario.hpp"

namespace dsllm::sim {

// A machine and the constants that hold on it.
struct Rates {
  Machine machine;
  Constants constants;
  ChipConstants chip;
};
Rates rates_of(const Machine& machine, const Constants& constants);

// [m, k] x [k, n] in two bytes an element: the slower of arithmetic and memory, seconds. Arithmetic runs at
//   peak * gemm_fraction * k / (k + gemm_half_k) * waves / (waves + gemm_lost_waves),
// waves = tiles of 128 x 128 a multiprocessor: short sums and few tiles leave the tensor cores waiting. 0 for an empty one.
double gemm_s(const Rates& rates, double m, double n, double k);

// A kernel that reads and writes `bytes` and computes little. 0 for no bytes.
double memory_s(const Rates& rates, double bytes);

// Scores, softmax and values of one pass that costs `flops` (4 * pairs of positions * d_head * heads), in one fused
// kernel (flash attention).
double attention_s(const Rates& rates, double flops);

}  // namespace dsllm::sim
