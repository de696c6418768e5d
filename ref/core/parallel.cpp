#include "ref/core/parallel.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace dsllm {
namespace {

int available_cores() {
#ifdef _OPENMP
  return omp_get_num_procs();
#else
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
#endif
}

std::atomic<int> thread_count{0};  // 0: not chosen yet

}  // namespace

void set_threads(int n) {
  thread_count = n > 0 ? n : available_cores();
}

int threads() {
#ifdef _OPENMP
  if (thread_count == 0) set_threads(0);
  return thread_count;
#else
  return 1;
#endif
}

void parallel_for(int64_t n, const std::function<void(int64_t)>& f) {
#ifdef _OPENMP
  if (n > 1 && threads() > 1 && !omp_in_parallel()) {
    std::exception_ptr first;
    int64_t first_index = n;
    std::mutex mutex;
    std::atomic<bool> failed{false};
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads())
    for (int64_t i = 0; i < n; ++i) {
      if (failed) {
        const std::lock_guard lock(mutex);
        if (i > first_index) continue;
      }
      try {
        f(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < first_index) {
          first_index = i;
          first = std::current_exception();
        }
        failed = true;
      }
    }
    if (first) std::rethrow_exception(first);
    return;
  }
#endif
  for (int64_t i = 0; i < n; ++i) f(i);
}

}  // namespace dsllm
