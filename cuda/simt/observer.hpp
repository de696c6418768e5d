// Who wants to know what a kernel does. The inspector (cuda/simt/inspector/) is one; without any, nothing is recorded.
#pragma once

#include <cstdint>

namespace dsllm::cuda::simt {

class Block;
struct Collective;
struct Grid;
struct PendingCopy;

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void grid_begins(const Grid&) {}
  virtual void grid_ends(const Grid&) {}
  virtual void block_begins(Block&) {}
  virtual void block_ends(Block&) {}
  virtual void barrier_passed(Block&) {}
  virtual void collective_done(Block&, const Collective&) {}
  // The running thread reads or writes memory in a way that the compiler does not show: the executor does it on behalf of a
  // kernel (ldmatrix, atomics, vectors of 16 bytes). pc is a place in the kernel.
  enum class Access : uint8_t { read, write, atomic };
  virtual void access(Block&, const void* address, int64_t bytes, Access, const void* pc) {
    (void)address, (void)bytes, (void)pc;
  }
  // cp.async: the running thread asks for a copy; later it waits, and the copy is about to happen.
  virtual void copy_issued(Block&, const PendingCopy&) {}
  virtual void copy_done(Block&, const PendingCopy&) {}
  virtual void mma(Block&, int64_t flops) { (void)flops; }
  // __threadfence() and the wider one.
  virtual void fence(Block&) {}
};

// While there is an observer, blocks run one after another on the calling thread.
extern Observer* observer;

}  // namespace dsllm::cuda::simt
