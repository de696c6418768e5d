// Shared variables by their elements, from the debug information of the program.
#pragma once

#include <cstdint>
#include <string>

namespace dsllm::cuda::simt::inspector {

// "tile[3][17]" for a byte of the variable that lies at this offset of thread-local memory (symbols.hpp); "byte 12 of tile" if
// its type is not known.
std::string describe_element(const std::string& name, int64_t offset, int64_t byte);

}  // namespace dsllm::cuda::simt::inspector
