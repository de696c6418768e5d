// The inspector: a profiler and a race detector for kernels that run on the executor.
//
// The kernels of a program that inspects are compiled with -fsanitize=thread, so that the compiler puts a call before each
// access to memory; but they are linked without it, and the calls come to hooks.cpp. Blocks run one after another on the
// calling thread. What the compiler cannot show (16-byte loads, ldmatrix, cp.async, atomics) the executor reports itself.
//
//   begin();
//   rmsnorm_forward(...); stream.synchronize();
//   fmt::print("{}", text(end()));
//
// What ends a kernel with KernelError: accesses outside of device and shared memory, to freed memory, to shared memory that
// nobody in the block wrote before, misaligned ones, indices past the end of an array. What is reported: races, and traffic
// by line. Compilers may split the copy of a struct such as float4 into its members; load16 and store16 (cuda/core/vector.hpp)
// are one access always.
#pragma once

#include <memory>
#include <string>

#include "cuda/simt/inspector/print.hpp"
#include "cuda/simt/inspector/report.hpp"
#include "cuda/simt/observer.hpp"

namespace dsllm::cuda::simt::inspector {

class Inspector : public Observer {
 public:
  Inspector();
  ~Inspector() override;

  // What was seen since the construction, and begins anew.
  Report take();

  void grid_begins(const Grid&) override;
  void grid_ends(const Grid&) override;
  void block_begins(Block&) override;
  void block_ends(Block&) override;
  void barrier_passed(Block&) override;
  void collective_done(Block&, const Collective&) override;
  void access(Block&, const void* address, int64_t bytes, Access, const void* pc) override;
  void copy_issued(Block&, const PendingCopy&) override;
  void copy_done(Block&, const PendingCopy&) override;
  void mma(Block&, int64_t flops) override;
  void fence(Block&) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Puts an inspector in place for the launches that follow, on this OS thread. Throws ValueError if the program's kernels are
// not compiled for it.
void begin();
// Takes it away. Throws ValueError without begin().
Report end();

// Ends the running kernel, with a message about the running thread and the line of the instruction.
[[noreturn]] void fail(Block& block, const std::string& expected, const std::string& got, const void* pc);

// While this is true, hooks return at once: the inspector is at work.
extern bool at_work;

}  // namespace dsllm::cuda::simt::inspector
