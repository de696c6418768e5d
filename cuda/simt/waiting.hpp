// Where the threads of a block wait, in words, for the message that a wrong kernel ends with.
#pragma once

#include <span>
#include <string>

#include "cuda/simt/block.hpp"

namespace dsllm::cuda::simt {

// "0-15, 17"
std::string describe_lanes(uint32_t mask);
// "lane 3", "lanes 0-15, 17"
std::string name_lanes(uint32_t mask);

// A line for each warp, equal ones together:
//   warp 0: lanes 0-15 wait at __syncthreads (a.cu:12); lanes 16-31 have returned
// `barrier` is the one that lanes wait at: "__syncthreads".
std::string describe_waiting(std::span<const Warp> warps, const char* barrier, Site barrier_site);

}  // namespace dsllm::cuda::simt
