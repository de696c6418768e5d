#include "cuda/simt/fiber.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <new>

#ifdef DSLLM_SIMT_BOOST_CONTEXT
#include <boost/context/detail/fcontext.hpp>
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace dsllm::cuda::simt {
namespace {

constexpr size_t page = 4096;
#ifdef __SANITIZE_ADDRESS__
constexpr size_t stack_bytes = 256 * 1024;  // redzones around every variable
#else
constexpr size_t stack_bytes = 64 * 1024;
#endif

// Tops at equal distances would fall into the same sets of the cache, all of them; one line apart they spread out.
constexpr size_t stagger(unsigned i) {
  return 64 * (i % 64);
}

// A fiber is left in the middle of its functions, at the latest in the one that ends it. AddressSanitizer must forget their
// variables before the stack is used again, or its memory by others.
void forget_frames([[maybe_unused]] const std::byte* begin, [[maybe_unused]] size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(begin, bytes);
#endif
}

}  // namespace

#ifdef DSLLM_SIMT_BOOST_CONTEXT

namespace context = boost::context::detail;

// Whoever jumps hands over where its own context is to be stored.
static void begin(context::transfer_t from) {
  static_cast<Fiber*>(from.data)->context = from.fctx;
  fiber_main();
}

static void make_fiber(std::byte* top, size_t bytes, Fiber* fiber) {
  fiber->context = context::make_fcontext(top, bytes, begin);
}

void switch_fiber(Fiber* from, const Fiber* to) {
  const context::transfer_t back = context::jump_fcontext(to->context, from);
  static_cast<Fiber*>(back.data)->context = back.fctx;
}

#else

// On the stack that ends below `top`, a multiple of 16.
static void make_fiber(std::byte* top, size_t, Fiber* fiber) {
  auto* stack = reinterpret_cast<void**>(top);
  *--stack = nullptr;  // fiber_main's return address: it has none, and a debugger stops here
  fiber->stack = stack;
  fiber->instruction = reinterpret_cast<const void*>(fiber_main);
  fiber->rbp = nullptr;
}

#endif

namespace {
// How many more guards there may be. Each splits a mapping into three: two more.
std::atomic<int64_t>& guards_left() {
  static std::atomic<int64_t> left = [] {
    int64_t most = 65530;
    std::ifstream("/proc/sys/vm/max_map_count") >> most;
    return most / 4;
  }();
  return left;
}
}  // namespace

Stacks::Stacks(unsigned count) : count_(count), used_(new bool[count]()) {
  void* memory = mmap(nullptr, count * stack_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<std::byte*>(memory);
}

void Stacks::guard(unsigned i) {
  used_[i] = true;
  if (guards_left().fetch_sub(1) > 0 && mprotect(memory_ + i * stack_bytes, page, PROT_NONE) == 0) {
    ++n_guards_;
  } else {
    guards_left().fetch_add(1);
  }
}

Stacks::~Stacks() {
  forget_frames(memory_, count_ * stack_bytes);
  munmap(memory_, count_ * stack_bytes);
  guards_left().fetch_add(n_guards_);
}

void Stacks::begin(unsigned i, Fiber* fiber) {
  if (!used_[i]) guard(i);
  forget_frames(memory_ + i * stack_bytes + page, stack_bytes - page);
  std::byte* top = memory_ + (i + 1) * stack_bytes - stagger(i);
  make_fiber(top, stack_bytes - page - stagger(i), fiber);
}

bool Stacks::contains(const void* address) const {
  const auto* p = static_cast<const std::byte*>(address);
  return p >= memory_ && p < memory_ + count_ * stack_bytes;
}

int64_t Stacks::index_of(const void* address) const {
  if (!contains(address)) return -1;
  return (static_cast<const std::byte*>(address) - memory_) / static_cast<int64_t>(stack_bytes);
}

bool Stacks::in_guard(const void* address) const {
  return contains(address) &&
         static_cast<size_t>(static_cast<const std::byte*>(address) - memory_) % stack_bytes < page;
}

}  // namespace dsllm::cuda::simt
