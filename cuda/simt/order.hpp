// The order in which the threads of a block, and the blocks of a grid, take their turns.
//
// CUDA promises none. A kernel that lacks a barrier may still come out right in the usual order; forward, backward and a
// few shuffled orders together leave it little room.
#pragma once

#include <cstdint>
#include <string>

namespace dsllm::cuda::simt {

struct Order {
  enum Kind { forward, backward, random } kind = forward;
  uint64_t seed = 0;  // of random
};

// "forward", "backward" or "random:7". Throws ValueError. For launches that begin afterwards.
void set_order(const std::string& text);
void set_order(Order order);
Order order();

}  // namespace dsllm::cuda::simt
