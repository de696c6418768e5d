// Memory faults. An access beyond the pages of an allocation, of shared memory or of a stack makes the system raise SIGSEGV
// in the thread that did it; if that is a kernel's, the kernel ends with a message in place of the program. So does a division
// of a whole number by zero, which raises SIGFPE.
#pragma once

namespace dsllm::cuda::simt {

// Gives the calling OS thread a stack on which the handler can run.
void prepare_this_thread_for_faults();

// While one lives, the handlers are installed; faults outside of kernels go to whoever was there before. Not for good, since
// others (debuggers, test programs) come and go with handlers of their own.
class FaultHandlers {
 public:
  FaultHandlers();
  ~FaultHandlers();
  FaultHandlers(const FaultHandlers&) = delete;
  FaultHandlers& operator=(const FaultHandlers&) = delete;
};

}  // namespace dsllm::cuda::simt
