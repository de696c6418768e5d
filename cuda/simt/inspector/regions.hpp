// Where an address lies: which allocation, which shared variable, or something that no kernel may touch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cuda/simt/block.hpp"
#include "cuda/simt/inspector/shadow.hpp"
#include "cuda/simt/observer.hpp"

namespace dsllm::cuda::simt::inspector {

enum class Space : uint8_t { global, dynamic_shared, static_shared };

struct Region {
  Space space = Space::global;
  const std::byte* begin = nullptr;
  int64_t bytes = 0;
  std::string name;           // "x", "tile"
  int64_t element_bytes = 1;  // of an allocation
  int64_t offset = 0;         // of a static variable, in thread-local memory
  Shadow shadow;

  bool holds(const std::byte* p) const { return p >= begin && p < begin + bytes; }
};

class Regions {
 public:
  Regions();
  void launch_begins();
  void block_begins(const Block& block);

  // The region that holds all `bytes` bytes; null for memory that is a thread's own business (its stack, arguments, constants).
  // Ends the kernel with a message if the running thread may not do that.
  Region* find(Block& block, const std::byte* p, int64_t bytes, Observer::Access access, const void* pc);

  // "x[17]", "tile[3][5]", "byte 68 of the dynamic shared memory (512 bytes)".
  std::string describe(const Region& region, const std::byte* p) const;

 private:
  Region* find_slowly(Block& block, const std::byte* p, int64_t bytes, Observer::Access access,
                      const void* pc);
  Region* find_static(const std::byte* p);
  Region* find_global(const std::byte* p);
  std::string describe_outside(const Block& block, const std::byte* p) const;

  struct Segment {
    const std::byte *begin, *end;
    bool writable;
  };
  std::vector<Segment> program_;  // constants and variables of the program and its libraries
  const std::byte *thread_local_ = nullptr, *thread_local_end_ = nullptr;
  Region dynamic_;                             // shared memory
  std::vector<Region> static_;                 // by address
  std::map<const std::byte*, Region> global_;  // by address
  std::vector<Region*> looked_up_;             // in this launch: known to be alive
  Region* last_ = nullptr;
};

// "a read of 4 bytes"
std::string describe_access(Observer::Access access, int64_t bytes);

// Calls f on another stack and waits: a fiber's is too small for reading debug information.
void with_room(const std::function<void()>& f);

// Whether the instruction stands in a kernel or in what kernels are made of, not in a library that the executor uses. (The
// linker keeps one copy of an inline function; it may be the one compiled for the inspector.)
bool in_kernel_code(const void* pc);

}  // namespace dsllm::cuda::simt::inspector
