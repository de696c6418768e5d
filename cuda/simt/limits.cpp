#include "cuda/simt/limits.hpp"

#include <fmt/format.h>

#include "ref/core/error.hpp"

namespace dsllm::cuda::simt {

const std::vector<Limits>& all_limits() {
  constexpr int64_t KiB = 1024;
  static const std::vector<Limits> table = {
      {"v100", 70, 1024, 48 * KiB, 96 * KiB, 96 * KiB, 2048, 32, 65536},
      {"a100", 80, 1024, 48 * KiB, 163 * KiB, 164 * KiB, 2048, 32, 65536},
      {"rtx3090", 86, 1024, 48 * KiB, 99 * KiB, 100 * KiB, 1536, 16, 65536},
      {"rtx4090", 89, 1024, 48 * KiB, 99 * KiB, 100 * KiB, 1536, 24, 65536},
      {"h100", 90, 1024, 48 * KiB, 227 * KiB, 228 * KiB, 2048, 32, 65536},
      {"b200", 100, 1024, 48 * KiB, 227 * KiB, 228 * KiB, 2048, 32, 65536},
  };
  return table;
}

const Limits& find_limits(const std::string& gpu) {
  std::string names;
  for (const Limits& l : all_limits()) {
    if (l.gpu == gpu) return l;
    names += (names.empty() ? "" : ", ") + l.gpu;
  }
  throw ValueError("GPU", "one of " + names, gpu);
}

static const Limits* chosen = &find_limits("h100");

void set_limits(const std::string& gpu) {
  chosen = &find_limits(gpu);
}

const Limits& limits() {
  return *chosen;
}

}  // namespace dsllm::cuda::simt
