// What several benchmarks measure beside themselves: the machine's own limits, in the same run.
#pragma once

#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "ref/core/parallel.hpp"
#include "ref/core/tensor.hpp"

namespace dsllm::bench {

// Seconds that f() takes.
template <class F>
double seconds(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Bytes/s of reading an array far larger than the caches with all threads.
class ReadBandwidth {
 public:
  ReadBandwidth() : data_(int64_t{1} << 28) {  // 1 GiB of floats
    for (int64_t i = 0; i < data_.size(); i += 1024) data_(i) = 1;
  }
  double measure() {
    constexpr int64_t piece = int64_t{1} << 22;
    const int64_t pieces = data_.size() / piece;
    Tensor<float, 1> sums(pieces);
    const double time = seconds([&] {
      parallel_for(pieces, [&](int64_t p) {
        sums(p) = Eigen::Map<const Eigen::VectorXf>(data_.data + p * piece, piece).sum();
      });
    });
    total_ += sums(0);
    benchmark::DoNotOptimize(total_);
    return static_cast<double>(data_.size()) * sizeof(float) / time;
  }

 private:
  Tensor<float, 1> data_;
  float total_ = 0;
};

// A figure of /proc/self/status in bytes: VmRSS (now), VmHWM (the most since the last reset).
inline int64_t status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line))
    if (line.starts_with(field + ":")) return std::stoll(line.substr(field.size() + 1)) * 1024;
  return 0;
}

// The most resident memory while f() runs, less what is resident before.
template <class F>
int64_t extra_memory(F&& f) {
  std::ofstream("/proc/self/clear_refs") << 5;  // resets VmHWM
  const int64_t before = status_bytes("VmRSS");
  f();
  return status_bytes("VmHWM") - before;
}

}  // namespace dsllm::bench
