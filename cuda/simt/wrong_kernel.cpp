// How a wrong kernel ends: what its message says, and the way out of its fibers.
#include <fmt/format.h>

#include "cuda/core/error.hpp"
#include "cuda/simt/block.hpp"
#include "cuda/simt/limits.hpp"
#include "cuda/simt/memory.hpp"
#include "cuda/simt/symbols.hpp"
#include "cuda/simt/waiting.hpp"

namespace dsllm::cuda::simt {
namespace {

const char* name_of(BarrierKind kind) {
  constexpr const char* names[] = {"__syncthreads", "__syncthreads_count", "__syncthreads_and",
                                   "__syncthreads_or"};
  return names[static_cast<int>(kind)];
}

}  // namespace

void Block::divergent_barrier(unsigned missing, const std::string& what) {
  const Index3 t = indices_[missing];
  fail(fmt::format("all {} threads of the block at the same {} ({})", n_threads_, name_of(barrier_kind_),
                   describe(barrier_site_)),
       fmt::format("a divergent barrier: thread ({}, {}, {}) {}\n{}", t.x, t.y, t.z, what,
                   describe_waiting({warps_, n_warps_}, name_of(barrier_kind_), barrier_site_)),
       barrier_site_);
}

void Block::barrier_without_some(BarrierKind kind, Site site) {
  unsigned t = 0;
  while (warps_[t / warp_size].live & bit(t % warp_size)) ++t;
  warp().waiting |= bit(lane());
  barrier_kind_ = kind;
  barrier_site_ = site;
  divergent_barrier(t, "has returned");
}

void Block::another_barrier(BarrierKind kind, Site site) {
  divergent_barrier(
      thread_,
      fmt::format("has come to {} at {}",
                  kind == barrier_kind_ ? "the one" : std::string("the ") + name_of(kind), describe(site)));
}

void Block::not_in_mask(uint32_t mask, const char* operation, Site site) {
  fail(fmt::format("{} to be called by lanes of its mask {:#010x} alone", operation, mask),
       fmt::format("lane {}, which is not in it", lane()), site);
}

void Block::returned_from(const Collective& c) {
  fail(fmt::format("every lane of the mask {:#010x} to take part in {} ({})", c.mask, c.operation,
                   describe(c.site)),
       fmt::format("lane {} of warp {} has returned, while {} wait{} for it", lane(), thread_ / warp_size,
                   name_lanes(c.arrived), c.arrived & (c.arrived - 1) ? "" : "s"));
}

void Block::lanes_gone(uint32_t mask, const char* operation, Site site) {
  fail(fmt::format("every lane of the mask {:#010x} to take part in {}", mask, operation),
       fmt::format("{} of warp {} returned before", name_lanes(mask & ~warp().live), thread_ / warp_size),
       site);
}

void Block::deadlock() {
  fail("a thread that can go on",
       "a deadlock: every thread waits\n" +
           describe_waiting({warps_, n_warps_}, name_of(barrier_kind_), barrier_site_));
}

void Block::fail(const std::string& expected, const std::string& got, Site site, const void* address) {
  failure_ = {true, expected, got, site, nullptr, address, {}, false};
  abandon();
}

void Block::fail_at(const std::string& expected, const std::string& got, const void* instruction,
                    const void* address) {
  failure_ = {true, expected, got, {}, instruction, address, {}, false};
  abandon();
}

// Called by the handler of a signal: takes no memory.
void Block::fault(const Fault& fault) {
  failure_.happened = failure_.is_fault = true;
  failure_.fault = fault;
  abandon();
}

// Leaves the fibers where they are: a kernel owns nothing that would have to be given back.
void Block::abandon() {
  in_kernel_ = false;
  switch_fiber(&dead_, &outside_);
  __builtin_unreachable();
}

std::string Block::describe_address(const void* address) const {
  const auto* p = static_cast<const std::byte*>(address);
  const std::byte* end = shared_ + shared_bytes();
  const std::string name = fmt::format("the dynamic shared memory ({} bytes)", shared_bytes());
  if (p >= shared_ && p < end) return fmt::format("byte {} of {}", p - shared_, name);
  if (p >= end && p < shared_memory_ + max_shared_bytes + shared_fence)
    return fmt::format("{} bytes past the end of {}", p - end, name);
  if (p >= shared_memory_ && p < shared_)
    return fmt::format("{} bytes before the begin of {}", shared_ - p, name);
  if (stacks_.in_guard(p)) return "beyond the end of its stack: local arrays too large, or a recursion";
  if (stacks_.contains(p)) return "a local variable";
  for (const SharedVariable& v : shared_variables()) {
    const std::byte* begin = thread_local_begin() + v.offset;
    if (p >= begin && p < begin + v.bytes)
      return fmt::format("byte {} of __shared__ {} ({} bytes)", p - begin, v.name, v.bytes);
  }
  return simt::describe_address(address);
}

// On the OS thread's own stack, where there is room to read symbols.
void Block::report() {
  Failure f = std::move(failure_);
  failure_ = {};
  Line line;
  if (f.instruction) line = kernel_line(f.instruction);
  if (f.is_fault) {
    // The instruction itself, unless it is the executor's, or the C library's, on behalf of the kernel.
    for (const void* place : {f.fault.instruction, access_, f.fault.caller})
      if (place && !is_kernel_file(line)) line = kernel_line(place);
    if (f.fault.kind == Fault::division) {
      f.expected = "a divisor that is not zero";
      f.got = "a division of a whole number by zero";
    } else {
      f.expected = "accesses to device and shared memory inside of what the kernel was given";
      f.got = f.fault.kind == Fault::no_address
                  ? "an access that is misaligned, or at an address that no memory has"
                  : "an access: " + describe_address(f.fault.address);
    }
  }
  if (f.address) f.got += describe_address(f.address);
  std::string place;
  if (f.site.line) place = ", " + describe(f.site);
  if (line.line) place = ", " + describe(Site{line.file.c_str(), line.line});
  throw KernelError(fmt::format("kernel {}, block ({}, {}, {}), thread ({}, {}, {}){}",
                                function_name(grid_->function), block_index.x, block_index.y, block_index.z,
                                thread_index().x, thread_index().y, thread_index().z, place),
                    f.expected, f.got);
}

}  // namespace dsllm::cuda::simt
