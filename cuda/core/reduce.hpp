// Sums and maxima over the threads of a warp and of a block. Every thread receives the result, and the order of the additions
// is fixed, so the same input gives the same bits.
#pragma once

#include "cuda/core/kernel.hpp"

namespace dsllm::cuda {

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Max {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};

// A butterfly: in each step a lane joins its result with that of the lane at half the distance. Eight lanes, distances 4, 2, 1:
//   0 1 2 3 4 5 6 7 -> 04 15 26 37 04 15 26 37 -> 0246 1357 0246 1357 ... -> 01234567 in all
template <class T, class Op>
__device__ __forceinline__ T warp_reduce(T value, Op op) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value = op(value, __shfl_xor_sync(0xffffffffu, value, distance));
  return value;
}
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  return warp_reduce(value, Sum());
}
template <class T>
__device__ __forceinline__ T warp_max(T value) {
  return warp_reduce(value, Max());
}

// Over all Threads threads of a one-dimensional block (a multiple of 32). Each warp reduces in registers and leaves its part in
// shared memory; after a barrier every warp reduces the parts. The barrier at the end keeps a second call from writing
// parts that somebody still reads.
template <int Threads, class T, class Op>
__device__ __forceinline__ T block_reduce(T value, Op op) {
  static_assert(Threads % 32 == 0 && Threads <= 1024);
  constexpr int warps = Threads / 32;
  __shared__ T part[warps];
  value = warp_reduce(value, op);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = value;
  __syncthreads();
  T total = part[0];
#pragma unroll
  for (int w = 1; w < warps; ++w) total = op(total, part[w]);
  __syncthreads();
  return total;
}
template <int Threads, class T>
__device__ __forceinline__ T block_sum(T value) {
  return block_reduce<Threads>(value, Sum());
}
template <int Threads, class T>
__device__ __forceinline__ T block_max(T value) {
  return block_reduce<Threads>(value, Max());
}

}  // namespace dsllm::cuda
