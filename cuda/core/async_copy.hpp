// cp.async: a copy from global to shared memory that takes no register and that the thread does not wait for (sm_80).
// Copies are collected in groups; shared memory has them once their group was waited for, for the thread that waited, and
// for the others after a barrier.
#pragma once

#include "cuda/core/kernel.hpp"
#if defined(__CUDACC__)
#include "cuda/core/tensor_core.hpp"
#else
#include "cuda/simt/tensor_core.hpp"
#endif

namespace dsllm::cuda {

// 16 bytes, both addresses multiples of 16. If not `valid`, shared memory receives zeros and `global` is not read.
__device__ __forceinline__ void copy_async16(void* shared, const void* global, bool valid = true) {
#if defined(__CUDACC__)
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 16 : 0)
               : "memory");
#else
  simt::copy_async(shared, global, 16, valid ? 16 : 0);
#endif
}
// 4 bytes, aligned to them.
__device__ __forceinline__ void copy_async4(void* shared, const void* global, bool valid = true) {
#if defined(__CUDACC__)
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 4 : 0)
               : "memory");
#else
  simt::copy_async(shared, global, 4, valid ? 4 : 0);
#endif
}

// Ends the group of copies issued so far.
__device__ inline void commit_copies() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  simt::commit_copies();
#endif
}

// Waits for all committed groups but the last N.
template <int N>
__device__ inline void wait_copies() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#else
  simt::wait_copies(N);
#endif
}

}  // namespace dsllm::cuda
