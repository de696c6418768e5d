#include "tests/judge/bugs/cuda/bugs.hpp"

namespace dsllm::tests {
namespace {

using namespace dsllm::cuda;

enum class Scatter {
  right,
  lost_update,     // reads, waits, writes
  overwrites,      // a row holds its last token
  first_only,      // repeated ids are seen once
  beyond_columns,  // the next row begins one element early
};

// A warp takes a token.
template <class T>
__global__ void scatter(Scatter bug, View<const int32_t, 1> ids, View<const T, 2> dy,
                        View<float, 2> dweight) {
  const int64_t n = dy.extent[0], d = dy.extent[1], lane = threadIdx.x % 32;
  const int64_t t = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  if (t >= n) return;
  const int32_t id = ids.data[t];
  bool seen = false;
  for (int64_t before = 0; before < t; ++before) seen = seen || ids.data[before] == id;
  for (int64_t j = lane; j < d; j += 32) {
    float* to = dweight.data + id * d + j - (bug == Scatter::beyond_columns && j == 0 && id > 0 ? 1 : 0);
    const float add = dy.data[t * d + j];
    if (bug == Scatter::lost_update) {
      const float old = *to;
      __syncwarp(__activemask());
      *to = old + add;
    } else if (bug == Scatter::overwrites) {
      *to = add;
    } else if (bug != Scatter::first_only || !seen) {
      atomicAdd(to, add);
    }
  }
}

}  // namespace

std::vector<KernelBug> embedding_kernel_bugs() {
  std::vector<KernelBug> bugs;
  const auto add = [&](const std::string& name, Scatter bug) {
    plant(bugs, "embedding_backward", name, [bug]<class T>(OnDevice& d) {
      if (d.size("n") > 0)
        launch(d.stream(), {static_cast<unsigned>(ceil_div<int64_t>(d.size("n"), 4)), 128}, scatter<T>, bug,
               d.in<int32_t, 1>("ids"), d.in<T, 2>("dy"), d.out<float, 2>("dweight"));
    });
  };
  add("", Scatter::right);
  add("lost update: read and written, not atomic", Scatter::lost_update);
  add("a row is that of its last token", Scatter::overwrites);
  add("a repeated id counts once", Scatter::first_only);
  add("off by one at the begin of a row", Scatter::beyond_columns);
  for (KernelBug& bug : bugs) bug.candidate.traits.deterministic = false;
  return bugs;
}

}  // namespace dsllm::tests
