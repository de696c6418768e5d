#include "ref/model/gemm_peak.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "ref/core/eigen.hpp"
#include "ref/core/parallel.hpp"

namespace dsllm::ref {

double measure_gemm_peak(int products) {
  constexpr int n = 1024;
  // More threads than cores would only share them.
  const int count = std::min(threads(), static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  std::vector<RowMajor<float>> a, b, c;
  for (int i = 0; i < count; ++i) {
    a.push_back(RowMajor<float>::Constant(n, n, 0.5f));
    b.push_back(RowMajor<float>::Constant(n, n, 0.25f));
    c.push_back(RowMajor<float>::Zero(n, n));
  }
  const auto run = [&](int times) {
    parallel_for(count, [&](int64_t i) {
      const size_t mine = static_cast<size_t>(i);
      for (int p = 0; p < times; ++p) c[mine].noalias() += a[mine] * b[mine];
    });
  };
  run(1);  // wakes the threads and touches the memory
  const auto start = std::chrono::steady_clock::now();
  run(products);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return 2.0 * n * n * n * products * count / seconds.count();
}

}  // namespace dsllm::ref
