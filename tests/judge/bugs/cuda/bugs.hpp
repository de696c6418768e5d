// Planted bugs in kernels. Each is a copy of a kernel, short enough to see what is wrong with it, that runs on the
// executor as a candidate. Beside the wrong copies stands the right one, from the same lines.
#pragma once

#include <string>
#include <vector>

#include "cuda/core/kernel.hpp"
#include "tests/pairs/on_device.hpp"

namespace dsllm::tests {

struct KernelBug {
  std::string pair;
  Candidate candidate;  // named after the bug; "" is the right copy
};

std::vector<KernelBug> rmsnorm_kernel_bugs();
std::vector<KernelBug> rope_kernel_bugs();
std::vector<KernelBug> swiglu_kernel_bugs();
std::vector<KernelBug> attention_kernel_bugs();
std::vector<KernelBug> cross_entropy_kernel_bugs();
std::vector<KernelBug> embedding_kernel_bugs();
std::vector<KernelBug> lr_schedule_kernel_bugs();
std::vector<KernelBug> adamw_kernel_bugs();
std::vector<KernelBug> grad_clip_kernel_bugs();

// In float and in bf16. A right copy in one type proves nothing about the other.
template <class F>
void plant(std::vector<KernelBug>& bugs, const std::string& pair, const std::string& name, F run) {
  for (Candidate c : {cuda_candidate<float>("", run), cuda_candidate<bf16>("", run)}) {
    c.name = name;
    bugs.push_back({pair, std::move(c)});
  }
}

}  // namespace dsllm::tests
