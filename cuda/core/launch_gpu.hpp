// Launching a kernel on a GPU. Only nvcc sees this file.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "cuda/core/device.hpp"

namespace dsllm::cuda::gpu {

// Throws DeviceError, naming the operation, unless the call succeeded. (Calls that can report what a kernel did before them
// throw KernelError with the last launches instead.)
void check(cudaError_t error, const std::string& operation);

cudaStream_t native(Stream& stream);

// Asks for more than 48 KiB of dynamic shared memory where the launch needs it, launches, and checks. The error of a kernel
// that fails while it runs comes from the stream's synchronize(), which names the last launches.
void launch_function(Stream& stream, const void* kernel, dim3 grid, dim3 block, int64_t shared_bytes,
                     void** arguments);

template <class... P>
void launch(Stream& stream, dim3 grid, dim3 block, int64_t shared_bytes, void (*kernel)(P...),
            P... arguments) {
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))..., nullptr};
  launch_function(stream, reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, pointers);
}

}  // namespace dsllm::cuda::gpu
