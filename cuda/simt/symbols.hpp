// Names for addresses: which function, which line of which file. From the debug information that the kernels are compiled
// with, read by elfutils' libdw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/simt/site.hpp"

namespace dsllm::cuda::simt {

// "rmsnorm.cu:41"; the folders are left out.
std::string describe(Site site);

// "void dsllm::cuda::rmsnorm_rows<float>(...)" becomes "rmsnorm_rows<float>". Without symbols: the address.
std::string function_name(const void* function);

struct Line {
  std::string file;  // where it was when it was compiled
  int line = 0;
};

// The same for the name that a symbol has in an object file.
std::string symbol_name(const std::string& symbol);

// The line of an instruction, and around it the lines where inlined functions were called, innermost first. Empty if unknown.
std::vector<Line> lines_of(const void* instruction);

// Of those the one that a reader looks for: the innermost that lies in a kernel and not in what kernels are made of
// (cuda/simt, cuda/core, ref/core).
Line kernel_line(const void* instruction);
// Whether the line is known and lies in a kernel, and not in what kernels are made of.
bool is_kernel_file(const Line& line);

// A variable that each block has for itself: static __shared__. offset counts from the begin of the thread-local memory of
// the program.
struct SharedVariable {
  std::string name;      // "tile"
  std::string function;  // the function it stands in, as function_name() gives it
  int64_t offset = 0, bytes = 0;
};
// Of the program itself, in order of their offsets. The executor's own thread-local variables are not among them.
const std::vector<SharedVariable>& shared_variables();
// GCC gives those whose elements have a constructor, even if it does nothing, a byte that says whether it was called.
const std::vector<SharedVariable>& guard_variables();
// Where the thread-local memory of the program begins for the calling OS thread, and how long it is.
std::byte* thread_local_begin();
int64_t thread_local_bytes();

}  // namespace dsllm::cuda::simt
