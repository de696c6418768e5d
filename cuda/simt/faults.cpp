#include "cuda/simt/faults.hpp"

#include <signal.h>

#include <cstdlib>
#include <memory>
#include <mutex>

#include "cuda/simt/block.hpp"

namespace dsllm::cuda::simt {
namespace {

struct sigaction before_segv, before_bus;

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

// The signal comes from an instruction of the kernel itself, never from inside of the C library, so leaving the handler for
// another stack is safe: nothing is half done, and SA_NODEFER leaves the signal unblocked.
void on_fault(int signal, siginfo_t* info, void* context) {
  Block* block = current;
  if (block != nullptr && block->in_kernel()) block->fault(info->si_addr, instruction_of(context));
  const struct sigaction& before = signal == SIGSEGV ? before_segv : before_bus;
  if (before.sa_flags & SA_SIGINFO) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {
    sigaction(signal, &before, nullptr);  // returning repeats the instruction, which now ends the program
  }
}

struct SignalStack {
  static constexpr size_t bytes = 64 * 1024;
  std::unique_ptr<char[]> memory{new char[bytes]};
  stack_t before{};

  SignalStack() {
    stack_t stack{};
    stack.ss_sp = memory.get();
    stack.ss_size = bytes;
    sigaltstack(&stack, &before);
  }
  ~SignalStack() { sigaltstack(&before, nullptr); }
};

}  // namespace

void prepare_this_thread_for_faults() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &before_segv);
    sigaction(SIGBUS, &action, &before_bus);
  });
  static thread_local SignalStack stack;
  (void)stack;
}

}  // namespace dsllm::cuda::simt
