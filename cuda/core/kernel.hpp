// What every .cu file includes: CUDA C++, from nvcc or from the executor (cuda/simt), and the launch of a kernel.
//
// A kernel is plain CUDA C++. The few things that have no C++ form, or that a CPU cannot do, stand in this folder with two
// bodies each:
//   launch(...)                in place of <<<...>>>
//   dynamic_shared<T>()        in place of extern __shared__
//   vector.hpp                 one access of 16 bytes
//   tensor_core.hpp            mma, ldmatrix
//   async_copy.hpp             cp.async
//   reduce.hpp                 sums and maxima over a warp or a block (one body)
#pragma once

#include <cstdint>

#include "cuda/core/device.hpp"
#include "ref/core/bf16.hpp"
#include "ref/core/view.hpp"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda/core/launch_gpu.hpp"
#else
#include "cuda/simt/atomics.hpp"
#include "cuda/simt/half.hpp"
#include "cuda/simt/language.hpp"
#include "cuda/simt/launch.hpp"
#include "cuda/simt/warp.hpp"
#endif

namespace dsllm::cuda {

// The extents of a launch: blocks, threads a block, bytes of dynamic shared memory a block.
struct LaunchShape {
  dim3 grid;
  dim3 block;
  int64_t shared_bytes = 0;
};

// Puts kernel(arguments...) at the end of the stream. Throws KernelError, naming the kernel and the launch, if the device
// cannot run it. Views are passed by value, as structs.
//   launch(stream, {rows, 256}, rmsnorm_rows<T>, x, weight, eps, y);
template <class... P, class... A>
void launch(Stream& stream, const LaunchShape& shape, void (*kernel)(P...), A&&... arguments) {
#if defined(__CUDACC__)
  gpu::launch(stream, shape.grid, shape.block, shape.shared_bytes, kernel, static_cast<P>(arguments)...);
#else
  simt::launch(stream, shape.grid, shape.block, shape.shared_bytes, kernel, std::forward<A>(arguments)...);
#endif
}

// The block's dynamic shared memory, shape.shared_bytes of it, aligned to 128 bytes.
template <class T>
__device__ T* dynamic_shared() {
#if defined(__CUDACC__)
  extern __shared__ __align__(128) unsigned char dsllm_dynamic_shared[];
  return reinterpret_cast<T*>(dsllm_dynamic_shared);
#else
  return reinterpret_cast<T*>(simt::current->shared());
#endif
}

// ceil(n / d), for the number of blocks.
template <class T>
__host__ __device__ constexpr T ceil_div(T n, T d) {
  return (n + d - 1) / d;
}

// That many blocks in x, or the most that a grid can have (2^31 - 1): a kernel that may get fewer than it asked for goes on in
// strides of gridDim.x.
constexpr unsigned grid_of(int64_t blocks) {
  return static_cast<unsigned>(blocks < INT32_MAX ? blocks : INT32_MAX);
}

}  // namespace dsllm::cuda
