#include "ref/core/parallel.hpp"

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <exception>
#include <memory>
#include <mutex>
#include <thread>

namespace dsllm {
namespace {

// The threads. TBB's sleep when there is nothing to do, so that a machine shared with others loses no time to waiting.
struct Pool {
  explicit Pool(int n)
      : count(n), limit(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(n)), arena(n) {}
  int count;
  tbb::global_control limit;
  tbb::task_arena arena;
};

std::unique_ptr<Pool>& pool() {
  static std::unique_ptr<Pool> current;
  return current;
}

thread_local bool inside = false;  // a parallel_for of this thread is running

}  // namespace

void set_threads(int n) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int wanted = n > 0 ? std::min(n, max_threads) : cores;
  if (pool() && pool()->count == wanted) return;
  pool().reset();  // before the new one: two limits at a time would both count
  pool() = std::make_unique<Pool>(wanted);
}

int threads() {
  if (!pool()) set_threads(0);
  return pool()->count;
}

void parallel_for(int64_t n, const std::function<void(int64_t)>& f) {
  if (n <= 1 || inside || threads() == 1) {
    for (int64_t i = 0; i < n; ++i) f(i);
    return;
  }
  std::exception_ptr first;
  int64_t first_index = n;
  std::mutex mutex;
  const auto run = [&](int64_t i) {
    inside = true;
    try {
      f(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (i < first_index) {
        first_index = i;
        first = std::current_exception();
      }
    }
    inside = false;
  };
  pool()->arena.execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<int64_t>(0, n, 1),
        [&](const tbb::blocked_range<int64_t>& range) {
          for (int64_t i = range.begin(); i < range.end(); ++i) run(i);
        },
        tbb::simple_partitioner());
  });
  if (first) std::rethrow_exception(first);
}

}  // namespace dsllm
