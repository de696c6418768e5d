// Fibers: several stacks on one OS thread, and a switch between them that costs a few nanoseconds.
//
// A fiber that does not run is known by its saved stack pointer. Switching pushes the registers that the calling
// convention lets a caller keep, changes the stack pointer, and pops the other fiber's. (The signal mask stays, which
// is what makes swapcontext slow: it asks the system for it.)
//
// On x86-64 the switch is ours, elsewhere Boost.Context's; DSLLM_SIMT_BOOST_CONTEXT chooses the latter everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#if !defined(__x86_64__) && !defined(DSLLM_SIMT_BOOST_CONTEXT)
#define DSLLM_SIMT_BOOST_CONTEXT
#endif

namespace dsllm::cuda::simt {

using Fiber = void*;

// What every new fiber runs. It must not return; block.cpp defines it.
[[noreturn]] void fiber_main();

// A fiber that has not begun, on the stack that ends below `top` (of `bytes` bytes). top must be a multiple of 16.
Fiber make_fiber(std::byte* top, size_t bytes);

// Leaves the running fiber, stores it in *from, and goes on with `to`. Returns when somebody switches back.
void switch_fiber(Fiber* from, Fiber to);

// Memory for stacks, with a page below each that faults when a stack overflows. Pages that nobody touches cost nothing; guards
// are put up for stacks that are used, since a system has a limited number of mappings (65530) for all of a program's threads.
// Where half of them are taken the rest of the stacks go without.
class Stacks {
 public:
  explicit Stacks(unsigned count);  // throws std::bad_alloc
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  Fiber fresh(unsigned i);
  unsigned count() const { return count_; }
  bool contains(const void* address) const;
  // Of the stack that holds this address; -1: none.
  int64_t index_of(const void* address) const;
  // Whether a fault at this address is the overflow of a stack.
  bool in_guard(const void* address) const;

 private:
  std::byte* memory_;
  unsigned count_, n_guards_ = 0;
  std::unique_ptr<bool[]> used_;

  void guard(unsigned i);
};

}  // namespace dsllm::cuda::simt
