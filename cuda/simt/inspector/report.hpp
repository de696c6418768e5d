// What the inspector found, as plain structs, and ways to print it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/simt/inspector/traffic.hpp"
#include "cuda/simt/symbols.hpp"

namespace dsllm::cuda::simt::inspector {

enum class Kind : uint8_t { read, write, atomic };
const char* name(Kind kind);  // "read", "write", "atomic"

// All accesses of one kind and size that stand in one line of the source, to global or to shared memory.
struct LineReport {
  Line line;
  Kind kind = Kind::read;
  bool shared = false;
  int bytes = 0;  // of an access
  Counts counts;  // units: sectors of 32 bytes, or wavefronts
};

// Two accesses to the same bytes, at least one of them a write, not both atomic, and nothing that orders them.
struct RaceReport {
  struct Side {
    Kind kind = Kind::read;
    Line line;
    Index3 block, thread;
    bool in_flight = false;  // a cp.async that was not waited for
  };
  Side earlier, later;  // of the first pair that was seen; the executor ran them in this order
  std::string where;    // "tile[17]"
  std::string missing;  // "no __syncthreads() between them"
  int64_t count = 0;    // accesses that raced at these two lines

  std::string text() const;
};

// All launches of one kernel.
struct KernelReport {
  std::string name;
  int64_t launches = 0, blocks = 0, threads = 0;  // threads: of all blocks
  Index3 block;                                   // of the last launch
  int64_t dynamic_shared_bytes = 0;               // of the last launch
  int64_t static_shared_bytes = 0;                // of the variables that it touched
  int64_t mma_flops = 0;
  // Global memory. Moved: 32 bytes a sector. Least: each byte that is read or written once a launch.
  int64_t bytes_requested = 0, bytes_moved = 0, bytes_read_least = 0, bytes_written_least = 0;
  std::vector<LineReport> lines;  // by file and line
  std::vector<RaceReport> races;  // one for each pair of lines

  int64_t bytes_least() const { return bytes_read_least + bytes_written_least; }
};

struct Report {
  std::vector<KernelReport> kernels;  // in the order of their first launch

  bool clean() const;  // no races
};

}  // namespace dsllm::cuda::simt::inspector
