// Fibers: several stacks on one OS thread, and a switch between them that costs a few nanoseconds.
//
// A fiber that does not run is known by where it stopped: its stack, the instruction at which it goes on, and one register.
// The switch is part of the function that waits, so the compiler itself saves what that function still needs, and nothing else.
// A jump at each place also tells the processor more than one return for all of them: from there the way usually leads to
// where the next fiber waits. (The signal mask stays, which is what makes swapcontext slow: it asks the system for it.)
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

#ifdef DSLLM_SIMT_BOOST_CONTEXT
struct Fiber {
  void* context = nullptr;
};
#else
struct Fiber {
  void* stack = nullptr;
  const void* instruction = nullptr;
  void* rbp = nullptr;  // by which a function may know its frame
};
#endif

// What every new fiber runs. It must not return; block.cpp defines it.
void fiber_main();

// Leaves the running fiber, stores it in *from, and goes on with *to. Returns when somebody switches back.
#ifdef DSLLM_SIMT_BOOST_CONTEXT
void switch_fiber(Fiber* from, const Fiber* to);
#else
[[gnu::always_inline]] inline void switch_fiber(Fiber* from, const Fiber* to) {
  // Nothing is pushed: a function that calls no other may keep variables below its stack pointer.
  asm volatile(
      "leaq 1f(%%rip), %%rcx\n\t"
      "movq %%rsp, (%0)\n\t"
      "movq %%rcx, 8(%0)\n\t"
      "movq %%rbp, 16(%0)\n\t"
      "movq (%1), %%rsp\n\t"
      "movq 16(%1), %%rbp\n\t"
      "jmpq *8(%1)\n"
      "1:"
      : "+a"(from), "+d"(to)
      :
      : "rbx", "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory",  //
        "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",                               //
        "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
        "xmm12", "xmm13", "xmm14", "xmm15"
#ifdef __AVX512F__
        ,
        "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26",
        "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#endif
  );
}
#endif

// Memory for stacks, with a page below each that faults when a stack overflows. Pages that nobody touches cost nothing; guards
// are put up for stacks that are used, since a system has a limited number of mappings (65530) for all of a program's threads.
// Where half of them are taken the rest of the stacks go without.
class Stacks {
 public:
  explicit Stacks(unsigned count);  // throws std::bad_alloc
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  // Makes *fiber one that has not begun, on stack i.
  void begin(unsigned i, Fiber* fiber);
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
