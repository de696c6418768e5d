#include "cuda/simt/inspector/facts.hpp"

#include <algorithm>

namespace dsllm::cuda::simt::inspector {

Facts::Facts(const PrintOptions& options)
    : options_(options), gpu_(find_gpu(options.gpu)), limits_(find_limits(options.gpu)) {
  if (!options.nvcc_report.empty()) compiled_ = read_nvcc_report(options.nvcc_report);
}

double Facts::flops(const std::string& kernel) const {
  const auto at = options_.flops.find(kernel);
  return at == options_.flops.end() ? 0 : at->second;
}

KernelFacts Facts::of(const KernelReport& kernel) const {
  KernelFacts f;
  f.other_flops = flops(kernel.name);
  f.roofline = roofline(kernel.bytes_least(), static_cast<double>(kernel.mma_flops), f.other_flops, gpu_);
  if (const CompiledKernel* c = find_compiled(compiled_, kernel.name, limits_.compute_capability))
    f.compiled = *c;
  // nvcc knows all static variables, the inspector those that were touched.
  const int64_t static_bytes = f.compiled ? f.compiled->static_shared_bytes : kernel.static_shared_bytes;
  f.shared_bytes = static_bytes + kernel.dynamic_shared_bytes;
  f.occupancy = occupancy(limits_, int64_t{kernel.block.x} * kernel.block.y * kernel.block.z, f.shared_bytes,
                          f.compiled ? std::optional<int>(f.compiled->registers) : std::nullopt);
  return f;
}

Roofline Facts::total(const Report& report) const {
  int64_t bytes = 0;
  double mma_flops = 0, other_flops = flops("");
  for (const KernelReport& k : report.kernels) {
    bytes += k.bytes_least();
    mma_flops += static_cast<double>(k.mma_flops);
    if (flops("") == 0) other_flops += flops(k.name);
  }
  return roofline(bytes, mma_flops, other_flops, gpu_);
}

}  // namespace dsllm::cuda::simt::inspector
