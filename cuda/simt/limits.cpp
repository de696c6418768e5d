#include "cuda/simt/limits.hpp"

#include "ref/core/error.hpp"
#include "ref/core/gpu.hpp"

namespace dsllm::cuda::simt {
namespace {

Limits of_compute_capability(int compute_capability) {
  constexpr int64_t KiB = 1024;
  Limits l;
  l.compute_capability = compute_capability;
  const auto set = [&](int64_t shared, int64_t sm_shared, int64_t sm_threads, int64_t sm_blocks) {
    l.shared_bytes = shared * KiB;
    l.sm_shared_bytes = sm_shared * KiB;
    l.sm_threads = sm_threads;
    l.sm_blocks = sm_blocks;
  };
  switch (compute_capability) {
    case 70:
      set(96, 96, 2048, 32);
      break;
    case 80:
      set(163, 164, 2048, 32);
      break;
    case 86:
      set(99, 100, 1536, 16);
      break;
    case 89:
      set(99, 100, 1536, 24);
      break;
    default:  // 9.0, 10.0, 10.3
      set(227, 228, 2048, 32);
  }
  return l;
}

}  // namespace

const std::vector<Limits>& all_limits() {
  static const std::vector<Limits> table = [] {
    std::vector<Limits> limits;
    for (const Gpu& gpu : all_gpus()) {
      limits.push_back(of_compute_capability(gpu.compute_capability));
      limits.back().gpu = gpu.name;
    }
    return limits;
  }();
  return table;
}

const Limits& find_limits(const std::string& gpu) {
  find_gpu(gpu);
  for (const Limits& l : all_limits())
    if (l.gpu == gpu) return l;
  throw ValueError("GPU", "limits of it", gpu);
}

static const Limits* chosen = &find_limits("h100-sxm");

void set_limits(const std::string& gpu) {
  chosen = &find_limits(gpu);
}

const Limits& limits() {
  return *chosen;
}

}  // namespace dsllm::cuda::simt
