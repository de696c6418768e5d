// Memory faults. An access beyond the pages of an allocation, of shared memory or of a stack makes the system raise SIGSEGV
// in the thread that did it; if that is a kernel's, the kernel ends with a message in place of the program.
#pragma once

namespace dsllm::cuda::simt {

// Installs the handler (once) and gives the calling OS thread a stack on which it can run. Faults outside of kernels go to
// whoever was there before.
void prepare_this_thread_for_faults();

}  // namespace dsllm::cuda::simt
