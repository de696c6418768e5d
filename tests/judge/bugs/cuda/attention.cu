#include "tests/judge/bugs/cuda/bugs.hpp"

namespace dsllm::tests {
namespace {

using namespace dsllm::cuda;

constexpr int tile = 16, widest = 128;

enum class Flash {
  right,
  no_rescale,          // of what was added up under a smaller maximum
  no_barrier_before,   // a tile of keys is overwritten while others read it
  no_barrier_after,    // a tile of keys is read while others write it
  sees_ahead,          // the diagonal is off by one
  ragged_tile_counts,  // keys beyond the end are zeros, and exp(0) is 1
  sums_in_bf16,
  first_key_head,  // for all query heads
  no_scale,
  lse_without_sum,
};

// A block takes 16 queries of a head, a thread one of them; keys and values come in tiles of 16 through shared memory.
template <class T>
__global__ void flash(Flash bug, View<const T, 4> q, View<const T, 4> k, View<const T, 4> v, View<T, 4> y,
                      View<float, 3> lse) {
  __shared__ float keys[tile][widest], values[tile][widest];
  const int64_t seq = q.extent[1], heads = q.extent[2], d = q.extent[3], kv_heads = k.extent[2];
  const int64_t b = blockIdx.z, h = blockIdx.y, first = static_cast<int64_t>(blockIdx.x) * tile;
  const int64_t i = first + threadIdx.x;
  const int64_t g = bug == Flash::first_key_head ? 0 : h / (heads / kv_heads);
  const float scale = bug == Flash::no_scale ? 1 : 1 / sqrtf(static_cast<float>(d));
  float sums[widest] = {}, max = -INFINITY, sum = 0;
  for (int64_t begin = 0; begin < first + tile && begin < seq; begin += tile) {
    if (bug != Flash::no_barrier_before) __syncthreads();
    for (int64_t e = 0; e < d; ++e) {  // each thread brings one key and its value
      const int64_t j = begin + threadIdx.x, at = ((b * seq + j) * kv_heads + g) * d + e;
      keys[threadIdx.x][e] = j < seq ? float(k.data[at]) : 0;
      values[threadIdx.x][e] = j < seq ? float(v.data[at]) : 0;
    }
    if (bug != Flash::no_barrier_after) __syncthreads();
    for (int64_t j = begin; j < begin + tile && i < seq; ++j) {
      const bool visible = j <= i + (bug == Flash::sees_ahead ? 1 : 0);
      if (!(visible && j < seq) && !(bug == Flash::ragged_tile_counts && j >= seq)) continue;
      float s = 0;
      for (int64_t e = 0; e < d; ++e)
        s += float(q.data[((b * seq + i) * heads + h) * d + e]) * keys[j - begin][e];
      s *= scale;
      const float larger = s > max ? s : max, p = expf(s - larger);
      const float rescale = bug == Flash::no_rescale && sum > 0 ? 1 : expf(max - larger);
      sum = sum * rescale + p;
      for (int64_t e = 0; e < d; ++e) {
        sums[e] = sums[e] * rescale + p * values[j - begin][e];
        if (bug == Flash::sums_in_bf16) sums[e] = bf16(sums[e]);
      }
      max = larger;
    }
  }
  if (i >= seq) return;
  for (int64_t e = 0; e < d; ++e) y.data[((b * seq + i) * heads + h) * d + e] = T(sums[e] / sum);
  lse.data[(b * heads + h) * seq + i] = max + (bug == Flash::lse_without_sum ? 0 : logf(sum));
}

}  // namespace

std::vector<KernelBug> attention_kernel_bugs() {
  std::vector<KernelBug> bugs;
  const auto add = [&](const std::string& name, Flash bug) {
    plant(bugs, "attention_forward", name, [bug]<class T>(OnDevice& d) {
      const auto q = d.in<T, 4>("q");
      if (q.size() == 0) return;
      const dim3 grid(static_cast<unsigned>(ceil_div<int64_t>(q.extent[1], tile)),
                      static_cast<unsigned>(q.extent[2]), static_cast<unsigned>(q.extent[0]));
      launch(d.stream(), {grid, tile}, flash<T>, bug, q, d.in<T, 4>("k"), d.in<T, 4>("v"), d.out<T, 4>("y"),
             d.out<float, 3>("lse"));
    });
  };
  add("", Flash::right);
  add("online: no rescaling", Flash::no_rescale);
  add("no barrier before a tile is overwritten", Flash::no_barrier_before);
  add("no barrier before a tile is read", Flash::no_barrier_after);
  add("the diagonal is off by one", Flash::sees_ahead);
  add("keys beyond a ragged end count", Flash::ragged_tile_counts);
  add("sums in bf16", Flash::sums_in_bf16);
  add("key head 0 for all", Flash::first_key_head);
  add("no scale", Flash::no_scale);
  add("log-sum-exp without its sum", Flash::lse_without_sum);
  return bugs;
}

}  // namespace dsllm::tests
