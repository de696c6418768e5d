// Where the compiler's calls come to. Kernels for the inspector are compiled with -fsanitize=thread and with
// -fsanitize=alignment,bounds, and linked without: these functions stand in for the sanitizers' own.
//
// They are called by everything in a kernel's file, host code too; only what a kernel does while an observer is there is
// handed on. This file and the executor are never compiled with a sanitizer.
#include <fmt/format.h>

#include <cstdint>
#include <cstring>

#include "cuda/simt/block.hpp"
#include "cuda/simt/inspector/inspector.hpp"
#include "cuda/simt/inspector/regions.hpp"
#include "cuda/simt/observer.hpp"

namespace dsllm::cuda::simt::inspector {
namespace {

bool watching() {
  return observer != nullptr && current != nullptr && current->in_kernel() && !at_work;
}

void saw(const void* address, int64_t bytes, Observer::Access access, const void* pc) {
  if (watching()) observer->access(*current, address, bytes, access, pc);
}

}  // namespace
}  // namespace dsllm::cuda::simt::inspector

namespace hook = dsllm::cuda::simt::inspector;
using Access = dsllm::cuda::simt::Observer::Access;

// The instruction before the one that the call returns to.
#define CALLER (static_cast<const char*>(__builtin_return_address(0)) - 1)

extern "C" {

// --- accesses to memory (the interface of ThreadSanitizer) ----------------------------------------------------------------

#define ACCESS_OF(n)                        \
  void __tsan_read##n(void* p) {            \
    hook::saw(p, n, Access::read, CALLER);  \
  }                                         \
  void __tsan_write##n(void* p) {           \
    hook::saw(p, n, Access::write, CALLER); \
  }                                         \
  void __tsan_unaligned_read##n(void* p) {  \
    hook::saw(p, n, Access::read, CALLER);  \
  }                                         \
  void __tsan_unaligned_write##n(void* p) { \
    hook::saw(p, n, Access::write, CALLER); \
  }
ACCESS_OF(1)
ACCESS_OF(2)
ACCESS_OF(4)
ACCESS_OF(8)
ACCESS_OF(16)
#undef ACCESS_OF
void __tsan_read_range(void* p, unsigned long n) {
  hook::saw(p, static_cast<int64_t>(n), Access::read, CALLER);
}
void __tsan_write_range(void* p, unsigned long n) {
  hook::saw(p, static_cast<int64_t>(n), Access::write, CALLER);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// Copies of whole structs and loops that a compiler makes into a call. The build renames memcpy in kernels to these.
void* dsllm_inspected_memcpy(void* to, const void* from, size_t n) {
  hook::saw(from, static_cast<int64_t>(n), Access::read, CALLER);
  hook::saw(to, static_cast<int64_t>(n), Access::write, CALLER);
  return std::memcpy(to, from, n);
}
void* dsllm_inspected_memmove(void* to, const void* from, size_t n) {
  hook::saw(from, static_cast<int64_t>(n), Access::read, CALLER);
  hook::saw(to, static_cast<int64_t>(n), Access::write, CALLER);
  return std::memmove(to, from, n);
}
void* dsllm_inspected_memset(void* to, int value, size_t n) {
  hook::saw(to, static_cast<int64_t>(n), Access::write, CALLER);
  return std::memset(to, value, n);
}

// C++'s own atomics, of host code such as shared_ptr's counters: kernels use CUDA's (cuda/simt/atomics.cpp).
#define ATOMICS_OF(n, T)                                                                           \
  T __tsan_atomic##n##_load(const volatile T* p, int) {                                            \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                   \
  }                                                                                                \
  void __tsan_atomic##n##_store(volatile T* p, T v, int) {                                         \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                \
  T __tsan_atomic##n##_exchange(volatile T* p, T v, int) {                                         \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                            \
  }                                                                                                \
  T __tsan_atomic##n##_fetch_add(volatile T* p, T v, int) {                                        \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  T __tsan_atomic##n##_fetch_sub(volatile T* p, T v, int) {                                        \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  T __tsan_atomic##n##_fetch_and(volatile T* p, T v, int) {                                        \
    return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  T __tsan_atomic##n##_fetch_or(volatile T* p, T v, int) {                                         \
    return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                              \
  }                                                                                                \
  T __tsan_atomic##n##_fetch_xor(volatile T* p, T v, int) {                                        \
    return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  T __tsan_atomic##n##_fetch_nand(volatile T* p, T v, int) {                                       \
    return __atomic_fetch_nand(p, v, __ATOMIC_SEQ_CST);                                            \
  }                                                                                                \
  int __tsan_atomic##n##_compare_exchange_strong(volatile T* p, T* expected, T v, int, int) {      \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                \
  int __tsan_atomic##n##_compare_exchange_weak(volatile T* p, T* expected, T v, int, int) {        \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                \
  T __tsan_atomic##n##_compare_exchange_val(volatile T* p, T expected, T v, int, int) {            \
    __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);       \
    return expected;                                                                               \
  }
ATOMICS_OF(8, uint8_t)
ATOMICS_OF(16, uint16_t)
ATOMICS_OF(32, uint32_t)
ATOMICS_OF(64, uint64_t)
#undef ATOMICS_OF
void __tsan_atomic_thread_fence(int) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int) {}

// --- alignment and bounds of arrays (the interface of UndefinedBehaviorSanitizer) --------------------------------------------

struct UbsanPlace {
  const char* file;
  uint32_t line, column;
};
struct UbsanType {
  uint16_t kind, info;  // kind 0: an integer; info: 2 * log2 of its bits, + 1 if it has a sign
  char name[1];         // in quotes
};
struct UbsanMismatch {
  UbsanPlace place;
  const UbsanType* type;
  uint8_t log2_alignment;
  uint8_t use;  // 0: a load, 1: a store, others: a reference or a member
};
struct UbsanBounds {
  UbsanPlace place;
  const UbsanType *array, *index;
};

void __ubsan_handle_type_mismatch_v1(const UbsanMismatch* m, const void* p) {
  if (!hook::watching() || p == nullptr) return;
  const char* const uses[] = {"a read", "a write"};
  const unsigned alignment = 1u << m->log2_alignment;
  dsllm::cuda::simt::Block& block = *dsllm::cuda::simt::current;
  if (reinterpret_cast<uintptr_t>(p) % alignment == 0) return;
  hook::fail(block,
             fmt::format("{} of {} at a multiple of {} bytes", m->use < 2 ? uses[m->use] : "a use",
                         m->type->name, alignment),
             fmt::format("a misaligned address: {}", block.describe_address(p)), CALLER);
}

void __ubsan_handle_out_of_bounds(const UbsanBounds* b, uintptr_t index) {
  if (!hook::watching()) return;
  const bool is_signed = b->index->kind == 0 && (b->index->info & 1) != 0;
  // Narrow integers come as their bits.
  const unsigned bits = b->index->kind == 0 ? 1u << (b->index->info >> 1) : 64u;
  auto value = static_cast<int64_t>(index);
  if (is_signed && bits < 64) value = static_cast<int64_t>(index << (64 - bits)) >> (64 - bits);
  hook::fail(*dsllm::cuda::simt::current, fmt::format("an index inside of {}", b->array->name),
             fmt::format("index {}", value), CALLER);
}

}  // extern "C"
