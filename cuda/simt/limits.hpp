// What a launch may ask for on a given GPU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dsllm::cuda::simt {

inline constexpr int64_t max_shared_bytes = 256 * 1024;  // more than any GPU has

// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
struct Limits {
  std::string gpu;               // as in ref/core/gpu.hpp
  int compute_capability = 90;   // 90 is 9.0
  int64_t block_threads = 1024;  // also the executor's own limit
  int64_t static_shared_bytes = 48 * 1024;
  int64_t shared_bytes = 227 * 1024;     // of a block, with the opt-in that launch() makes
  int64_t sm_shared_bytes = 228 * 1024;  // of a multiprocessor, 1 KiB a block of it the system's
  int64_t sm_threads = 2048, sm_blocks = 32, sm_registers = 65536;
};

// Of the GPU of that name ("h100-sxm"); throws ValueError that lists the names.
const Limits& find_limits(const std::string& gpu);
const std::vector<Limits>& all_limits();

// Which GPU's limits launches are checked against; the h100-sxm's unless set.
void set_limits(const std::string& gpu);
const Limits& limits();

}  // namespace dsllm::cuda::simt
