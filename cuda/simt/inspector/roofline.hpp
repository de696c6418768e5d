// The roofline of a GPU (Williams, Waterman and Patterson 2009): no kernel can be faster than its bytes over the bandwidth, nor
// than its FLOPs over the peak. Computed from a datasheet (ref/core/gpu.hpp), never measured.
#pragma once

#include <cstdint>

#include "ref/core/gpu.hpp"

namespace dsllm::cuda::simt::inspector {

struct Roofline {
  double memory_s = 0;   // bytes / bandwidth
  double compute_s = 0;  // FLOPs of tensor cores / their peak + others / the peak in fp32
  double intensity = 0;  // FLOPs a byte
  double ridge = 0;      // the intensity above which the GPU's FLOPs are the limit, for this mix of FLOPs
  bool memory_bound = true;

  double floor_s() const { return memory_bound ? memory_s : compute_s; }
};

// `other_flops` on a GPU whose fp32 peak is not known count nothing.
Roofline roofline(int64_t bytes, double mma_flops, double other_flops, const Gpu& gpu);

}  // namespace dsllm::cuda::simt::inspector
