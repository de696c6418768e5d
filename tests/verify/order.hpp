#pragma once

#include <string>

namespace dsllm::tests {

// "forward", "backward" or "random:7": how the executor takes the threads of kernels from now on. Throws UsageError for another
// text, and on a device, whose order nobody chooses.
void set_thread_order(const std::string& text);

}  // namespace dsllm::tests
