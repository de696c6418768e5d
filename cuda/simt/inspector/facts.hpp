// What text and JSON both say of a kernel beyond what was counted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cuda/simt/inspector/occupancy.hpp"
#include "cuda/simt/inspector/print.hpp"
#include "cuda/simt/inspector/roofline.hpp"

namespace dsllm::cuda::simt::inspector {

struct KernelFacts {
  double other_flops = 0;  // 0: not given
  Roofline roofline;       // over all launches
  std::optional<CompiledKernel> compiled;
  int64_t shared_bytes = 0;  // of a block, static and dynamic
  Occupancy occupancy;
};

class Facts {
 public:
  explicit Facts(const PrintOptions& options);
  KernelFacts of(const KernelReport& kernel) const;
  // Of everything in the report, with the FLOPs that were given for it.
  Roofline total(const Report& report) const;
  const Gpu& gpu() const { return gpu_; }

 private:
  double flops(const std::string& kernel) const;

  const PrintOptions& options_;
  const Gpu& gpu_;
  const Limits& limits_;
  std::vector<CompiledKernel> compiled_;
};

}  // namespace dsllm::cuda::simt::inspector
