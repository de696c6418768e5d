// How many blocks of a kernel a multiprocessor holds at a time, and what keeps it from holding more. Registers are known to
// nvcc alone; its report (-Xptxas -v) says them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cuda/simt/limits.hpp"

namespace dsllm::cuda::simt::inspector {

// A kernel in nvcc's report.
struct CompiledKernel {
  std::string name;      // as function_name() gives it: "rows<float, 64>"
  int architecture = 0;  // 90 is sm_90
  int registers = 0;     // a thread
  int64_t static_shared_bytes = 0;
  int64_t spill_bytes = 0;  // stores and loads
};

// Throws FileError. What is no such report gives no kernels.
std::vector<CompiledKernel> read_nvcc_report(const std::string& path);
std::vector<CompiledKernel> parse_nvcc_report(const std::string& text);

// The kernel of that name, compiled for the architecture or for the nearest one before it; null if there is none.
const CompiledKernel* find_compiled(const std::vector<CompiledKernel>& kernels, const std::string& name,
                                    int architecture);

struct Occupancy {
  int64_t blocks = 0;  // a multiprocessor
  int64_t warps = 0, most_warps = 0;
  std::string limited_by;  // "shared memory", "registers", "threads", "blocks"

  double share() const {
    return most_warps > 0 ? static_cast<double>(warps) / static_cast<double>(most_warps) : 0;
  }
};

// Without `registers` they are taken for no limit. CUDA C++ Programming Guide, "Hardware Multithreading": a warp's registers
// are given in units of 256, to four partitions; shared memory in units of 128 bytes, 1 KiB a block more from 8.0 on.
Occupancy occupancy(const Limits& limits, int64_t block_threads, int64_t shared_bytes,
                    std::optional<int> registers);

}  // namespace dsllm::cuda::simt::inspector
