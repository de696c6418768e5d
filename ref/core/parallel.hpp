// Threads. One rule keeps every result the same for any number of them: work is cut into pieces by its size alone,
// each piece is computed by one thread, and partial sums are added in the order of the pieces.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace dsllm {

inline constexpr int max_threads = 1024;

// How many threads parallel_for may use, at most max_threads; set_threads(0) means one a core. To be called by the main
// thread, outside of any parallel_for.
void set_threads(int n);
int threads();

// Calls f(i) for every i in [0, n), in no particular order, and returns when all are done. The exception of the
// smallest i that threw is thrown again; the remaining i may or may not have run. A nested call runs on one thread.
void parallel_for(int64_t n, const std::function<void(int64_t)>& f);

// Calls f(begin, end) for consecutive pieces of [0, n) of at most `grain` elements. The pieces depend on n and
// grain, never on the number of threads.
inline void parallel_pieces(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& f) {
  if (n <= 0) return;
  parallel_for((n + grain - 1) / grain, [&](int64_t piece) {
    const int64_t begin = piece * grain;
    f(begin, std::min(n, begin + grain));
  });
}

}  // namespace dsllm
