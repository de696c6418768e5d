#include "cuda/core/device.hpp"

namespace dsllm::cuda {
Backend backend() {
  return Backend::simt;
}
}  // namespace dsllm::cuda
