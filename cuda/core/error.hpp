// What goes wrong on a device, or on the executor that stands for one.
#pragma once

#include "ref/core/error.hpp"

namespace dsllm::cuda {

// A wrong kernel, or a launch that the device cannot do.
//   "kernel transpose<float>, block (1, 0, 0), thread (33, 0, 0), transpose.cu:21: expected all 64 threads of the block at
//    the same __syncthreads (transpose.cu:21), got a divergent barrier: ..."
class KernelError : public Error {
  using Error::Error;
};

// Something of the device itself: none there, too little memory, a driver older than the toolkit.
class DeviceError : public Error {
  using Error::Error;
};

}  // namespace dsllm::cuda
