#include "cuda/simt/inspector/roofline.hpp"

namespace dsllm::cuda::simt::inspector {

Roofline roofline(int64_t bytes, double mma_flops, double other_flops, const Gpu& gpu) {
  Roofline r;
  const double flops = mma_flops + other_flops;
  r.memory_s = static_cast<double>(bytes) / gpu.hbm_bytes_per_s;
  r.compute_s = mma_flops / gpu.bf16_flops_per_s();
  if (gpu.fp32_tflops > 0) r.compute_s += other_flops / gpu.fp32_flops_per_s();
  r.intensity = bytes > 0 ? flops / static_cast<double>(bytes) : 0;
  r.memory_bound = r.memory_s >= r.compute_s;
  if (r.compute_s > 0) r.ridge = flops / r.compute_s / gpu.hbm_bytes_per_s;
  return r;
}

}  // namespace dsllm::cuda::simt::inspector
