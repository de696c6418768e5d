#include "cuda/simt/faults.hpp"

#include <signal.h>

#include <cstdlib>
#include <memory>
#include <mutex>

#include "cuda/simt/block.hpp"
#include "cuda/simt/checks.hpp"

namespace dsllm::cuda::simt {
namespace {

constexpr int signals[] = {SIGSEGV, SIGBUS, SIGFPE};
struct sigaction before[3];

const void* instruction_of(const void* context) {
#if defined(__x86_64__)
  return reinterpret_cast<const void*>(static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<const void*>(static_cast<const ucontext_t*>(context)->uc_mcontext.pc);
#else
  (void)context;
  return nullptr;
#endif
}

// Where a function that has no frame of its own will return to: memcpy and memset of the C library, which compilers call
// for loops and structs of a kernel, have none. (What lies there may be no variable's: AddressSanitizer shall not look.)
[[gnu::noinline, gnu::no_sanitize_address]] const void* caller_of_leaf(const void* context) {
#if defined(__x86_64__)
  const auto* stack = reinterpret_cast<const void* const*>(
      static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RSP]);
  if (!current->stacks().contains(stack) || current->stacks().in_guard(stack)) return nullptr;
  return *stack != nullptr ? call_before(*stack) : nullptr;
#elif defined(__aarch64__)
  return reinterpret_cast<const void*>(static_cast<const ucontext_t*>(context)->uc_mcontext.regs[30] - 1);
#else
  (void)context;
  return nullptr;
#endif
}

// The signal comes from an instruction of a kernel, or of a copy that it makes, so leaving the handler for another stack is
// safe: nothing is half done, and SA_NODEFER leaves the signal unblocked.
void on_fault(int signal, siginfo_t* info, void* context) {
  Block* block = current;
  if (block != nullptr && block->in_kernel()) {
    Fault fault;
    fault.address = info->si_addr;
    fault.instruction = instruction_of(context);
    fault.caller = caller_of_leaf(context);
    // The processor itself refuses a misaligned vector or an address that no page can have, and does not say which.
    fault.kind = signal == SIGFPE             ? Fault::division
                 : info->si_code == SI_KERNEL ? Fault::no_address
                                              : Fault::memory;
    block->fault(fault);
  }
  for (int i = 0; i < 3; ++i) {
    if (signals[i] != signal) continue;
    if (before[i].sa_flags & SA_SIGINFO) {
      before[i].sa_sigaction(signal, info, context);
    } else if (before[i].sa_handler != SIG_DFL && before[i].sa_handler != SIG_IGN) {
      before[i].sa_handler(signal);
    } else {
      sigaction(signal, &before[i],
                nullptr);  // returning repeats the instruction, which now ends the program
    }
  }
}

struct SignalStack {
  static constexpr size_t bytes = 64 * 1024;
  std::unique_ptr<char[]> memory{new char[bytes]};
  stack_t previous{};

  SignalStack() { install(&previous); }
  ~SignalStack() { sigaltstack(&previous, nullptr); }

  void install(stack_t* old) const {
    stack_t stack{};
    stack.ss_sp = memory.get();
    stack.ss_size = bytes;
    sigaltstack(&stack, old);
  }
};

SignalStack& signal_stack() {
  static thread_local SignalStack stack;
  return stack;
}

std::mutex mutex;
int users = 0;  // launches that run

}  // namespace

void prepare_this_thread_for_faults() {
  signal_stack().install(nullptr);
}

FaultHandlers::FaultHandlers() {
  prepare_this_thread_for_faults();
  const std::scoped_lock lock(mutex);
  if (users++ > 0) return;
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < 3; ++i) sigaction(signals[i], &action, &before[i]);
}

FaultHandlers::~FaultHandlers() {
  const std::scoped_lock lock(mutex);
  if (--users > 0) return;
  for (int i = 0; i < 3; ++i) sigaction(signals[i], &before[i], nullptr);
}

}  // namespace dsllm::cuda::simt
