#include "cuda/simt/inspector/occupancy.hpp"

#include <cstdio>
#include <fstream>
#include <regex>
#include <sstream>

#include "cuda/simt/symbols.hpp"
#include "ref/core/error.hpp"

namespace dsllm::cuda::simt::inspector {
namespace {

int64_t round_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

}  // namespace

std::vector<CompiledKernel> read_nvcc_report(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw FileError(path, "", "nvcc's report (-Xptxas -v)", "a file that cannot be read");
  std::ostringstream text;
  text << file.rdbuf();
  return parse_nvcc_report(text.str());
}

// ptxas info    : Compiling entry function '_Z4rows...' for 'sm_90'
//     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
// ptxas info    : Used 10 registers, used 1 barriers, 256 bytes smem
std::vector<CompiledKernel> parse_nvcc_report(const std::string& text) {
  static const std::regex entry("Compiling entry function '([^']*)' for 'sm_([0-9]+)");
  static const std::regex spills("([0-9]+) bytes spill stores, ([0-9]+) bytes spill loads");
  static const std::regex used("Used ([0-9]+) registers");
  static const std::regex shared("([0-9]+) bytes smem");
  std::vector<CompiledKernel> kernels;
  std::istringstream lines(text);
  std::smatch m;
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_search(line, m, entry)) {
      CompiledKernel& k = kernels.emplace_back();
      // CUDA's own type is the executor's bf16.
      k.name = std::regex_replace(symbol_name(m[1].str()), std::regex("__nv_bfloat16"), "bf16");
      k.architecture = std::atoi(m[2].str().c_str());
    } else if (!kernels.empty() && std::regex_search(line, m, spills)) {
      kernels.back().spill_bytes = std::atoll(m[1].str().c_str()) + std::atoll(m[2].str().c_str());
    } else if (!kernels.empty() && std::regex_search(line, m, used)) {
      kernels.back().registers = std::atoi(m[1].str().c_str());
      if (std::regex_search(line, m, shared))
        kernels.back().static_shared_bytes = std::atoll(m[1].str().c_str());
    }
  }
  return kernels;
}

const CompiledKernel* find_compiled(const std::vector<CompiledKernel>& kernels, const std::string& name,
                                    int architecture) {
  const CompiledKernel* found = nullptr;
  for (const CompiledKernel& k : kernels)
    if (k.name == name && k.architecture <= architecture &&
        (found == nullptr || k.architecture > found->architecture))
      found = &k;
  return found;
}

Occupancy occupancy(const Limits& limits, int64_t block_threads, int64_t shared_bytes,
                    std::optional<int> registers) {
  const int64_t warps = (block_threads + 31) / 32;
  Occupancy o;
  o.most_warps = limits.sm_threads / 32;
  const auto limit = [&](int64_t blocks, const char* by) {
    if (o.limited_by.empty() || blocks < o.blocks) {
      o.blocks = blocks;
      o.limited_by = by;
    }
  };
  limit(limits.sm_blocks, "blocks");
  limit(o.most_warps / warps, "threads");
  const int64_t system = limits.compute_capability >= 80 ? 1024 : 0;
  if (shared_bytes + system > 0)
    limit(limits.sm_shared_bytes / round_up(shared_bytes + system, 128), "shared memory");
  if (registers && *registers > 0) {
    const int64_t warp_registers = round_up(int64_t{32} * *registers, 256);
    limit(limits.sm_registers / 4 / warp_registers * 4 / warps, "registers");
  }
  o.warps = o.blocks * warps;
  return o;
}

}  // namespace dsllm::cuda::simt::inspector
