// GPUs by name, with what a roofline and a cluster on paper need of them. Datasheet figures, dense (without sparsity).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dsllm {

// 0: not published, or the chip has no such thing.
struct Gpu {
  std::string name;                 // "h100-sxm"
  int compute_capability = 0;       // 90 is 9.0
  int sm_count = 0;                 // streaming multiprocessors
  double fp32_tflops = 0;           // of the CUDA cores
  double bf16_tflops = 0;           // of the tensor cores, fp32 accumulation; the V100's are of fp16
  double fp8_tflops = 0;            // of the tensor cores
  double measured_bf16_tflops = 0;  // the best matrix product that was measured (MAMF)
  double hbm_bytes = 0;             // usable
  double hbm_bytes_per_s = 0;
  int nvlink_generation = 0;
  double nvlink_bytes_per_s = 0;  // in each direction; datasheets print both directions added
  int scale_up_gpus = 0;          // that NVLink joins in a typical node
  double scale_out_bytes_per_s =
      0;  // of a GPU's share of the network in a typical cluster, in each direction

  // bf16 products are what tensor cores count.
  double bf16_flops_per_s() const { return bf16_tflops * 1e12; }
  double fp32_flops_per_s() const { return fp32_tflops * 1e12; }
};

// In order of age. Sources stand in gpu.cpp.
const std::vector<Gpu>& all_gpus();

// By name; throws ValueError that lists the names.
const Gpu& find_gpu(const std::string& name);

}  // namespace dsllm
