// The second stage of a weight's gradient: partial sums of columns become one.
#pragma once

#include "cuda/core/kernel.hpp"

namespace dsllm::cuda::rmsnorm {

// dweight_j += sum_r partial_rj, in a fixed order. A block takes 32 columns, and its warps the rows w, w + 32, ...: each
// request reads 128 neighbouring bytes, and no chain of additions is longer than a few. Then warp 0 adds up the 32 sums
// of each column, which lie side by side in shared memory.
__global__ static void add_partials(View<const float, 2> partial, View<float, 1> dweight) {
  __shared__ float sums[32][32];
  const int64_t rows = partial.extent[0], d = partial.extent[1];
  const int64_t j = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x;
  float sum = 0;
  if (j < d)
    for (int64_t r = threadIdx.y; r < rows; r += 32) sum += partial.data[r * d + j];
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && j < d) {
    float total = 0;
#pragma unroll
    for (int w = 0; w < 32; ++w) total += sums[w][threadIdx.x];
    dweight.data[j] += total;
  }
}

inline void launch_add_partials(View<const float, 2> partial, View<float, 1> dweight, Stream& stream) {
  const dim3 block(32, 32);
  launch(stream, {grid_of(ceil_div<int64_t>(partial.extent[1], 32)), block}, add_partials, partial, dweight);
}

}  // namespace dsllm::cuda::rmsnorm
