#include <cstring>

#include "cuda/simt/checks.hpp"

namespace dsllm::cuda::simt {

void load16(void* to, const void* from) {
  check_read(from, 16, __builtin_return_address(0));
  std::memcpy(to, from, 16);
}

void store16(void* to, const void* from) {
  check_write(to, 16, __builtin_return_address(0));
  std::memcpy(to, from, 16);
}

void load8(void* to, const void* from) {
  check_read(from, 8, __builtin_return_address(0));
  std::memcpy(to, from, 8);
}

}  // namespace dsllm::cuda::simt
