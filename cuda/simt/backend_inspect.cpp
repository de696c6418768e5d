#include "cuda/core/device.hpp"

namespace dsllm::cuda {
Backend backend() {
  return Backend::inspect;
}
}  // namespace dsllm::cuda
