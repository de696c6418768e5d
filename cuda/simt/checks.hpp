// Accesses that the executor makes on behalf of a kernel: checked here, since no compiler shows them to anybody.
#pragma once

#include <cstdint>

namespace dsllm::cuda::simt {

// Ends the kernel if the address is no multiple of `bytes` (2, 4, 8, 16); tells the observer. pc is where the kernel goes on
// after the call (__builtin_return_address). If the access that follows faults, it is reported there.
void check_read(const void* address, int bytes, const void* pc);
void check_write(const void* address, int bytes, const void* pc);
void check_atomic(const void* address, int bytes, const void* pc);

// Ends the kernel if the address is no multiple of `bytes`. verb: "a read".
void check_aligned(const void* address, int bytes, const char* verb, const void* pc);

// An address inside of the call that returns to pc, so that it has the call's line.
inline const void* call_before(const void* pc) {
  return static_cast<const char*>(pc) - 1;
}

// Whether bytes address .. address + bytes - 1 lie in the shared memory of the running block: the dynamic part, or a static
// variable.
bool is_shared(const void* address, int bytes);

}  // namespace dsllm::cuda::simt
