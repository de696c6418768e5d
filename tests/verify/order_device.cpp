#include "ref/core/error.hpp"
#include "tests/verify/order.hpp"

namespace dsllm::tests {

void set_thread_order(const std::string&) {
  throw UsageError("--order", "the executor", "a device, whose order nobody chooses");
}

}  // namespace dsllm::tests
