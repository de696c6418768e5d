// Which accesses of a launch are ordered before the one that the running thread makes now; two others on the same bytes, one of
// them a write, are a race.
//
//   in a block          by a __syncthreads between them
//   in a warp           by __syncwarp: each lane keeps a vector clock of 32 numbers, and lanes that meet take the maximum of
//                       theirs. Shuffles, votes and mma order nothing (CUDA C++ Programming Guide, "Warp Shuffle Functions").
//   between blocks      by nothing, except release and acquire: a thread fences (__threadfence) and then changes a counter
//                       atomically; whoever changes the same counter later has what came before the fence. That is the pattern
//                       of "the last block adds up" (ibid., "Memory Fence Functions").
// Not known: flags between warps of one block, and orders handed on from one counter to another.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "cuda/simt/block.hpp"
#include "cuda/simt/inspector/shadow.hpp"

namespace dsllm::cuda::simt::inspector {

class OrderOfThreads {
 public:
  void launch_begins();
  void block_begins(const Block& block);
  void barrier_passed();
  void sync_warp(unsigned warp, uint32_t mask);
  void fence(unsigned thread);
  // The running thread changes what lies at this address atomically.
  void atomic(const void* address, Stamp now);

  // Block, epoch, thread and clock of the running thread.
  Stamp now(const Block& block);
  bool in_this_launch(Stamp s) const { return s.block >= first_block_; }
  // Whether what `before` says came before what `now` says. `address` is where both were.
  bool ordered(Stamp before, Stamp now, const void* address);
  // The number of the block, as it counts in the grid, that made the stamp.
  int64_t block_index(Stamp s) const { return blocks_[s.block - first_block_]; }

 private:
  struct Release {
    size_t position;  // among all changes of the counter
    uint32_t thread;
    int64_t own_epoch;  // of the thread's last fence; -1: none
    int64_t all_epoch;  // the smallest such of all threads of the block
  };
  struct Counter {
    size_t changes = 0;
    std::unordered_map<uint32_t, std::vector<Release>> by_block;
  };
  struct Acquired {
    Stamp when;
    const void* address;
    size_t changes;  // before mine
  };

  bool ordered_in_block(Stamp before, Stamp now);
  uint32_t& clock(unsigned thread, unsigned lane);

  uint32_t first_block_ = 1, block_ = 0;
  std::vector<int64_t> blocks_;
  uint32_t epoch_ = 0;
  unsigned n_threads_ = 0;

  // clocks_[t][l]: what thread t knows of lane l of its warp. Set back after a barrier when first asked for.
  uint32_t clocks_[max_block_threads][warp_size] = {};
  uint32_t clocks_epoch_[max_block_threads / warp_size] = {};
  bool clocks_fresh_[max_block_threads / warp_size] = {};

  int64_t fenced_[max_block_threads] = {};
  bool any_fence_ = false;
  std::unordered_map<const void*, Counter> counters_;
  // What the running block has changed, by its last change; and those changes that saw a release.
  std::unordered_map<const void*, Stamp> changed_;
  std::vector<Acquired> acquired_;
};

}  // namespace dsllm::cuda::simt::inspector
