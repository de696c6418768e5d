#include "cuda/simt/order.hpp"

#include "ref/core/error.hpp"
#include "tests/verify/order.hpp"

namespace dsllm::tests {

void set_thread_order(const std::string& text) {
  try {
    cuda::simt::set_order(text);
  } catch (const ValueError& e) {
    throw UsageError("--order", "forward, backward or random:N", "'" + text + "'");
  }
}

}  // namespace dsllm::tests
