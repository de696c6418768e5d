#include "cuda/simt/block.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <numeric>

#include "cuda/core/error.hpp"
#include "cuda/simt/faults.hpp"
#include "cuda/simt/limits.hpp"
#include "cuda/simt/memory.hpp"
#include "cuda/simt/observer.hpp"
#include "cuda/simt/symbols.hpp"
#include "cuda/simt/waiting.hpp"
#include "ref/core/philox.hpp"

namespace dsllm::cuda::simt {

constinit thread_local Block* current = nullptr;

namespace {

constexpr size_t fence = 1 << 20;  // behind shared memory: nobody steps over it by accident
constexpr std::byte untouched{0xa5};
constexpr size_t shared_guard = 256;
constexpr unsigned first_stack = max_block_threads;  // of the fiber on which a block begins

uint32_t bit(unsigned lane) {
  return 1u << lane;
}
uint32_t lowest_lanes(unsigned n) {
  return n >= warp_size ? ~0u : bit(n) - 1;
}
uint32_t lanes_above(unsigned lane) {
  return lane == 31 ? 0 : ~0u << (lane + 1);
}
const char* name_of(BarrierKind kind) {
  constexpr const char* names[] = {"__syncthreads", "__syncthreads_count", "__syncthreads_and",
                                   "__syncthreads_or"};
  return names[static_cast<int>(kind)];
}
bool same_place(Site a, Site b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

Index3 unflatten(int64_t i, Index3 extent) {
  const int64_t x = extent.x, y = extent.y;
  return {static_cast<unsigned>(i % x), static_cast<unsigned>(i / x % y), static_cast<unsigned>(i / (x * y))};
}

}  // namespace

Block::Block() : copies_(max_block_threads), stacks_(max_block_threads + 1) {
  void* memory = mmap(nullptr, max_shared_bytes + fence, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  shared_memory_ = static_cast<std::byte*>(memory);
  mprotect(shared_memory_ + max_shared_bytes, fence, PROT_NONE);
  prepare_this_thread_for_faults();
}

Block::~Block() {
  munmap(shared_memory_, max_shared_bytes + fence);
}

bool Block::owns(const void* address) const {
  const auto in = [&](const void* begin, size_t bytes) {
    return address >= begin && address < static_cast<const std::byte*>(begin) + bytes;
  };
  return stacks_.contains(address) || in(this, sizeof(Block)) ||
         in(grid_->arguments, static_cast<size_t>(grid_->argument_bytes));
}

Index3 Block::index_of(unsigned thread) const {
  return indices_[thread];
}

// --- the course of a block ---------------------------------------------------------------------------------------------

void Block::run(const Grid& grid, int64_t index) {
  start(grid, index);
  Block* const before = current;
  current = this;
  if (observer) observer->block_begins(*this);
  in_kernel_ = true;
  switch_fiber(&outside_, stacks_.fresh(first_stack));
  in_kernel_ = false;
  if (failure_.happened) {
    current = before;
    report();
  }
  if (observer) observer->block_ends(*this);
  current = before;
  check_around_shared();
}

// The few bytes between the end of dynamic shared memory and the page that faults, and as many before its begin.
void Block::check_around_shared() const {
  const std::byte* const end = shared_ + shared_bytes();
  for (const std::byte* p = shared_ - shared_guard; p < shared_memory_ + max_shared_bytes;
       p == shared_ - 1 ? p = end : ++p)
    if (*p != untouched)
      throw KernelError(fmt::format("kernel {}, block ({}, {}, {})", function_name(grid_->function),
                                    block_index.x, block_index.y, block_index.z),
                        "writes to shared memory inside of it",
                        fmt::format("a write {}", describe_address(p)));
}

void Block::start(const Grid& grid, int64_t index) {
  grid_ = &grid;
  index_ = index;
  block_index = unflatten(index, grid.grid);
  grid_dim = grid.grid;
  failure_ = {};
  access_ = nullptr;
  if (has_copies_)
    for (AsyncCopies& c : copies_) c = {};
  has_copies_ = false;
  const unsigned threads = grid.block.x * grid.block.y * grid.block.z;
  if (threads != n_threads_ || std::memcmp(&block_dim, &grid.block, sizeof block_dim) != 0) {
    block_dim = grid.block;
    n_threads_ = threads;
    n_warps_ = (threads + warp_size - 1) / warp_size;
    for (unsigned t = 0; t < threads; ++t) indices_[t] = unflatten(t, block_dim);
    for (unsigned w = 0; w < n_warps_; ++w) warps_[w].lanes = lowest_lanes(threads - w * warp_size);
  }
  // Shared memory ends where the next page faults. It begins as NaN: what nobody wrote must not look like a zero.
  const auto bytes = static_cast<size_t>(grid.shared_bytes);
  shared_ = shared_memory_ + max_shared_bytes - (bytes + 127) / 128 * 128;
  std::memset(shared_ - shared_guard, static_cast<int>(untouched), shared_guard);
  std::memset(shared_, 0xff, bytes);
  std::memset(shared_ + bytes, static_cast<int>(untouched),
              static_cast<size_t>(shared_memory_ + max_shared_bytes - shared_) - bytes);

  fibers_ = false;
  n_live_ = n_threads_;
  n_at_barrier_ = 0;
  barriers_passed_ = 0;
  order_ = order();
  if (order_.kind == Order::random) {
    random_ = philox_block(order_.seed, 0, static_cast<uint64_t>(index)).word[0] | 1u;
    std::iota(turns_, turns_ + n_threads_, uint16_t{0});
    for (unsigned i = n_threads_; i > 1; --i) {
      random_ = random_ * 6364136223846793005u + 1442695040888963407u;
      std::swap(turns_[i - 1], turns_[(random_ >> 33) % i]);
    }
  }
}

unsigned Block::turn(unsigned i) const {
  switch (order_.kind) {
    case Order::forward:
      return i;
    case Order::backward:
      return n_threads_ - 1 - i;
    default:
      return turns_[i];
  }
}

void fiber_main() {
  Block& block = *current;
  if (block.fibers_) {
    block.grid_->call(block.grid_->arguments);
  } else {
    block.run_threads();
  }
  block.leave();
  __builtin_unreachable();
}

// Threads as plain calls, one after another. If one of them has to wait, this stack becomes its own and the loop is over
// for all but its return; the others begin as fibers.
void Block::run_threads() {
  for (unsigned i = 0; i < n_threads_; ++i) {
    set_thread(turn(i));
    grid_->call(grid_->arguments);
    if (fibers_) return;
    n_live_ = n_threads_ - 1 - i;
  }
  n_live_ = 1;  // leave() takes the last one away
}

void Block::begin_fibers() {
  fibers_ = true;
  for (unsigned w = 0; w < n_warps_; ++w) {
    Warp& warp = warps_[w];
    warp.live = warp.lanes;
    warp.started = warp.at_collective = warp.at_barrier = warp.at_activemask = 0;
    warp.n_pending = 0;
  }
  for (unsigned i = 0; turn(i) != thread_; ++i) warps_[turn(i) / warp_size].live &= ~bit(turn(i) % warp_size);
  warp().started |= bit(lane());
}

void Block::leave() {
  if (fibers_) {
    Warp& w = warp();
    w.live &= ~bit(lane());
    for (unsigned i = 0; i < w.n_pending; ++i) {
      const Collective& c = w.pending[i];
      if (c.mask & bit(lane()))
        fail(fmt::format("every lane of the mask {:#010x} to take part in {} ({})", c.mask, c.operation,
                         describe(c.site)),
             fmt::format("lane {} of warp {} has returned, while {} wait{} for it", lane(),
                         thread_ / warp_size, name_lanes(c.arrived), c.arrived & (c.arrived - 1) ? "" : "s"));
    }
    if (n_at_barrier_ > 0) divergent_barrier(thread_, "has returned");
  }
  Fiber dead;
  if (--n_live_ == 0) switch_fiber(&dead, outside_);
  resume(&dead, next_thread());
}

// --- whose turn it is --------------------------------------------------------------------------------------------------

unsigned Block::next_elsewhere() {
  Warp& w = warp();
  if (w.at_activemask && !w.runnable()) {
    // Nobody else of the warp can come any more: those that wait at the same line are active together.
    const Site site = w.site[std::countr_zero(w.at_activemask)];
    w.active = 0;
    for (unsigned lane = 0; lane < warp_size; ++lane)
      if ((w.at_activemask & bit(lane)) && same_place(w.site[lane], site)) w.active |= bit(lane);
    w.at_activemask &= ~w.active;
    for (unsigned lane = 0; lane < warp_size; ++lane)
      if (w.active & bit(lane)) w.result[lane] = w.active;
  }
  if (order_.kind == Order::forward) return next_forward(thread_);
  return order_.kind == Order::backward ? next_backward(thread_) : next_random();
}

// Of the same warp the next lane, else the first one of the next warp that has any: a warp keeps its stacks in the cache.
unsigned Block::next_forward(unsigned from) {
  const unsigned first = from / warp_size;
  const uint32_t mine = warps_[first].runnable();
  if (const uint32_t above = mine & lanes_above(from % warp_size))
    return first * warp_size + static_cast<unsigned>(std::countr_zero(above));
  if (mine) return first * warp_size + static_cast<unsigned>(std::countr_zero(mine));
  for (unsigned k = 1; k < n_warps_; ++k) {
    const unsigned w = first + k < n_warps_ ? first + k : first + k - n_warps_;
    if (const uint32_t r = warps_[w].runnable())
      return w * warp_size + static_cast<unsigned>(std::countr_zero(r));
  }
  deadlock();
}

unsigned Block::next_backward(unsigned from) {
  const unsigned first = from / warp_size;
  const uint32_t mine = warps_[first].runnable();
  const auto highest = [](uint32_t r) { return 31u - static_cast<unsigned>(std::countl_zero(r)); };
  if (const uint32_t below = mine & lowest_lanes(from % warp_size)) return first * warp_size + highest(below);
  if (mine) return first * warp_size + highest(mine);
  for (unsigned k = 1; k < n_warps_; ++k) {
    const unsigned w = (first + n_warps_ - k) % n_warps_;
    if (const uint32_t r = warps_[w].runnable()) return w * warp_size + highest(r);
  }
  deadlock();
}

unsigned Block::next_random() {
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;
  const auto first = static_cast<unsigned>(random_ >> 40) % n_warps_;
  const int turn_by = static_cast<int>(random_ >> 33) & 31;
  for (unsigned k = 0; k < n_warps_; ++k) {
    const unsigned w = (first + k) % n_warps_;
    if (const uint32_t r = warps_[w].runnable()) {
      const int lane = (std::countr_zero(std::rotr(r, turn_by)) + turn_by) & 31;
      return w * warp_size + static_cast<unsigned>(lane);
    }
  }
  deadlock();
}

// --- barriers ----------------------------------------------------------------------------------------------------------

int Block::barrier(BarrierKind kind, bool predicate, Site site) {
  become_fibers();
  Warp& w = warp();
  w.site[lane()] = site;
  if (n_live_ < n_threads_) [[unlikely]]
    barrier_without_some(kind, site);
  if (n_at_barrier_ == 0) {
    barrier_kind_ = kind;
    barrier_site_ = site;
    barrier_votes_ = 0;
  } else if (kind != barrier_kind_ || !same_place(site, barrier_site_)) [[unlikely]] {
    another_barrier(kind, site);
  }
  barrier_votes_ += predicate;
  if (++n_at_barrier_ == n_threads_) {
    release_barrier();
  } else {
    w.at_barrier |= bit(lane());
    wait();
  }
  return barrier_result_;
}

void Block::barrier_without_some(BarrierKind kind, Site site) {
  unsigned t = 0;
  while (warps_[t / warp_size].live & bit(t % warp_size)) ++t;
  warp().at_barrier |= bit(lane());
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

void Block::release_barrier() {
  barrier_result_ = barrier_kind_ == BarrierKind::count ? barrier_votes_
                    : barrier_kind_ == BarrierKind::all ? barrier_votes_ == static_cast<int>(n_threads_)
                                                        : barrier_votes_ > 0;
  for (unsigned w = 0; w < n_warps_; ++w) warps_[w].at_barrier = 0;
  n_at_barrier_ = 0;
  ++barriers_passed_;
  if (observer) observer->barrier_passed(*this);
}

void Block::divergent_barrier(unsigned missing, const std::string& what) {
  const Index3 t = indices_[missing];
  fail(fmt::format("all {} threads of the block at the same {} ({})", n_threads_, name_of(barrier_kind_),
                   describe(barrier_site_)),
       fmt::format("a divergent barrier: thread ({}, {}, {}) {}\n{}", t.x, t.y, t.z, what,
                   describe_waiting({warps_, n_warps_}, name_of(barrier_kind_))),
       barrier_site_);
}

// --- collectives of a warp ---------------------------------------------------------------------------------------------

void Block::not_in_mask(uint32_t mask, const char* operation, Site site) {
  fail(fmt::format("{} to be called by lanes of its mask {:#010x} alone", operation, mask),
       fmt::format("lane {}, which is not in it", lane()), site);
}

void Block::lanes_gone(uint32_t mask, const char* operation, Site site) {
  fail(fmt::format("every lane of the mask {:#010x} to take part in {}", mask, operation),
       fmt::format("{} of warp {} returned before", name_lanes(mask & ~warp().live), thread_ / warp_size),
       site);
}

Collective& Block::join_others(uint32_t mask, const char* operation, Site site) {
  Warp& w = warp();
  const uint32_t me = bit(lane());
  for (unsigned i = 0; i < w.n_pending; ++i) {
    Collective& c = w.pending[i];
    if (c.mask == mask && (c.operation == operation || std::strcmp(c.operation, operation) == 0)) {
      c.arrived |= me;
      return c;
    }
    // Lanes of my mask may still be in a collective of their own and come later. If that one waits for me, neither can end.
    if ((c.arrived & mask) && (c.mask & me))
      fail(fmt::format("{} to call {} together, with one mask", name_lanes(mask), operation),
           fmt::format("lane {} with the mask {:#010x}, while {} wait{} in {} ({}) with the mask {:#010x}",
                       lane(), mask, name_lanes(c.arrived), c.arrived & (c.arrived - 1) ? "" : "s",
                       c.operation, describe(c.site), c.mask),
           site);
  }
  Collective& c = w.pending[w.n_pending++];
  c = {mask, me, operation, site};
  return c;
}

void Block::complete(Collective& c) {
  Warp& w = warp();
  if (observer) observer->collective_done(*this, c);
  w.at_collective &= ~c.mask;
  c = w.pending[--w.n_pending];
}

uint32_t Block::active_mask(Site site) {
  become_fibers();
  Warp& w = warp();
  w.site[lane()] = site;
  w.at_activemask |= bit(lane());
  wait();
  return static_cast<uint32_t>(w.result[lane()]);
}

// --- wrong kernels -----------------------------------------------------------------------------------------------------

void Block::deadlock() {
  fail("a thread that can go on",
       "a deadlock: every thread waits\n" + describe_waiting({warps_, n_warps_}, name_of(barrier_kind_)));
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
  Fiber dead;
  switch_fiber(&dead, outside_);
  __builtin_unreachable();
}

std::string Block::describe_address(const void* address) const {
  const auto* p = static_cast<const std::byte*>(address);
  const std::byte* end = shared_ + shared_bytes();
  const std::string name = fmt::format("the dynamic shared memory ({} bytes)", shared_bytes());
  if (p >= shared_ && p < end) return fmt::format("byte {} of {}", p - shared_, name);
  if (p >= end && p < shared_memory_ + max_shared_bytes + fence)
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
                                thread_index.x, thread_index.y, thread_index.z, place),
                    f.expected, f.got);
}

}  // namespace dsllm::cuda::simt
