// Device memory of the executor.
//
// Each allocation has pages of its own, aligned to 256 bytes as cudaMalloc's are, and ends right before 64 MiB that fault; as
// many lie before it. What lies between its end and those pages (at most 255 bytes), and before its begin, holds a
// pattern that is looked at after every kernel. New memory is NaN in every type: nothing was written yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace dsllm::cuda::simt {

struct Allocation {
  std::byte* data = nullptr;
  int64_t bytes = 0;
  int64_t element_bytes = 1;
  std::string name;
};

// Throw DeviceError when there is no memory, or more than the limit below is asked for.
std::byte* allocate(int64_t bytes, const std::string& name, int64_t element_bytes);
void release(std::byte* data);

// Whether the address is one that a kernel may be given: inside of an allocation or at its fences (the end of an empty rest, a
// begin that is moved back).
bool is_device_address(const void* address);

// The allocation that holds this address.
std::optional<Allocation> find_allocation(const void* address);

// "12 bytes past the end of 'x' (4096 bytes)", "inside of 'y', which was freed", "no device memory: of the host?"
std::string describe_address(const void* address);

// What was written around an allocation since the last call, or "": "'y' (4096 bytes): written 4 bytes past its end".
std::string trespasses();

// How much device memory there is: unless set, 80 GB or what the machine has, if that is less. So that running out can be tested.
void set_device_memory(int64_t bytes);
int64_t device_memory_free();

}  // namespace dsllm::cuda::simt
