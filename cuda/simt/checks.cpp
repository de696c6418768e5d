#include "cuda/simt/checks.hpp"

#include <fmt/format.h>

#include "cuda/simt/block.hpp"
#include "cuda/simt/observer.hpp"
#include "cuda/simt/symbols.hpp"

namespace dsllm::cuda::simt {

void check_aligned(const void* address, int bytes, const char* verb, const void* pc) {
  if (reinterpret_cast<uintptr_t>(address) % static_cast<uintptr_t>(bytes) != 0)
    current->fail_at(fmt::format("{} of {} bytes at a multiple of {}", verb, bytes, bytes),
                     "a misaligned address: ", call_before(pc), address);
  current->accesses_for(call_before(pc));
}

namespace {

void check(const void* address, int bytes, Observer::Access access, const char* verb, const void* pc) {
  check_aligned(address, bytes, verb, pc);
  if (observer) observer->access(*current, address, bytes, access, call_before(pc));
}

}  // namespace

void check_read(const void* address, int bytes, const void* pc) {
  check(address, bytes, Observer::Access::read, "a read", pc);
}

void check_write(const void* address, int bytes, const void* pc) {
  check(address, bytes, Observer::Access::write, "a write", pc);
}

void check_atomic(const void* address, int bytes, const void* pc) {
  check(address, bytes, Observer::Access::atomic, "an atomic access", pc);
}

bool is_shared(const void* address, int bytes) {
  const auto* p = static_cast<const std::byte*>(address);
  if (p >= current->shared() && p + bytes <= current->shared() + current->shared_bytes()) return true;
  static thread_local std::byte* const begin = thread_local_begin();
  static const int64_t size = thread_local_bytes();
  return p >= begin && p + bytes <= begin + size;
}

}  // namespace dsllm::cuda::simt
