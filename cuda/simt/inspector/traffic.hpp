// What the accesses of a warp cost: 32-byte sectors in global memory, bank conflicts in shared memory.
//
// A GPU executes an instruction for all lanes of a warp at once; here one lane runs after another. So accesses are put together
// afterwards: the k-th time that each lane executed an instruction since the lanes met is one request of the warp.
//
//   sectors      distinct 32-byte pieces that a request touches. The ideal: as many as its distinct bytes fill.
//   wavefronts   a bank gives 4 bytes at a time; 32 banks. Lanes that want different words of one bank wait for each other.
//                Requests of 8 bytes a lane go in two halves of the warp, those of 16 in four quarters. The ideal is one each.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/simt/block.hpp"

namespace dsllm::cuda::simt::inspector {

struct Counts {
  int64_t requests = 0;  // of a warp
  int64_t accesses = 0;  // of a thread
  int64_t bytes = 0;     // that threads asked for
  int64_t units = 0;     // sectors, or wavefronts
  int64_t ideal_units = 0;

  Counts& operator+=(const Counts& other);
};

// One request: the lanes of a warp and the address that each brings.
struct Request {
  uint32_t lanes = 0;
  uint64_t address[warp_size];
};

// Sectors of a request with accesses of `bytes` bytes; wavefronts of one. `atomic`: lanes that want the same word wait too.
void count_sectors(const Request& request, int bytes, Counts& counts);
void count_wavefronts(const Request& request, int bytes, bool atomic, Counts& counts);

// How an instruction's accesses are counted.
struct Counting {
  int bytes = 0;
  bool shared = false, atomic = false;
};

class Traffic {
 public:
  // From now on: instruction i is counted as (*how)[i] says, in (*counts)[i]. Both may grow.
  void count_in(const std::vector<Counting>* how, std::vector<Counts>* counts);
  // Lane `lane` of warp `warp` executes an instruction with this address, in global memory or an offset in shared memory.
  void access(unsigned warp, unsigned lane, uint32_t lanes_of_warp, uint32_t instruction, uint64_t address);
  // Lanes of a warp have met: what they do next belongs together, whatever each did before. `all`: every lane that has not
  // returned.
  void met(unsigned warp, uint32_t mask, bool all);
  // Counts what is still open. To be called at the end of a block.
  void finish();
  // Forgets it instead: the kernel ended with an error.
  void forget();

 private:
  struct Open {
    uint32_t executed[warp_size] = {};
    uint32_t first = 0;  // requests[0] is of executions number `first`
    uint32_t n_open = 0;
    bool touched = false;  // since the lanes met
    std::vector<Request> requests;
  };
  struct OfWarp {
    std::vector<Open> open;         // by instruction
    std::vector<uint32_t> touched;  // instructions, since the lanes met
    std::vector<uint32_t> used;     // instructions, in this block
  };
  void close(uint32_t instruction, Open& open);

  const std::vector<Counting>* how_ = nullptr;
  std::vector<Counts>* counts_ = nullptr;
  OfWarp warps_[max_block_threads / warp_size];
  std::vector<std::vector<Request>> spare_;
};

}  // namespace dsllm::cuda::simt::inspector
