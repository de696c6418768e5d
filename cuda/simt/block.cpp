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

constexpr std::byte untouched{0xa5};
constexpr size_t shared_guard = 256;
constexpr unsigned first_stack = max_block_threads;  // of the fiber on which a block begins

uint32_t lowest_lanes(unsigned n) {
  return n >= warp_size ? ~0u : bit(n) - 1;
}

Index3 unflatten(int64_t i, Index3 extent) {
  const int64_t x = extent.x, y = extent.y;
  return {static_cast<unsigned>(i % x), static_cast<unsigned>(i / x % y), static_cast<unsigned>(i / (x * y))};
}

}  // namespace

Block::Block() : copies_(max_block_threads), stacks_(max_block_threads + 1) {
  void* memory = mmap(nullptr, max_shared_bytes + shared_fence, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  shared_memory_ = static_cast<std::byte*>(memory);
  mprotect(shared_memory_ + max_shared_bytes, shared_fence, PROT_NONE);
  prepare_this_thread_for_faults();
}

Block::~Block() {
  munmap(shared_memory_, max_shared_bytes + shared_fence);
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
  Fiber first;
  stacks_.begin(first_stack, &first);
  switch_fiber(&outside_, &first);
  in_kernel_ = false;
  if (failure_.happened) {
    current = before;
    for (Warp& w : warps_) w.pending[0].mask = w.n_pending = 0;
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
  barrier_site_ = {nullptr};
  barriers_passed_ = 0;
  order_ = order();
  in_order_ = order_.kind == Order::forward ? ~0u : 0;
  if (order_.kind == Order::random) {
    random_ = philox_block(order_.seed, 0, static_cast<uint64_t>(index)).word[0] | 1u;
    std::iota(turns_, turns_ + n_threads_, uint16_t{0});
    for (unsigned i = n_threads_; i > 1; --i) {
      random_ = random_ * 6364136223846793005u + 1442695040888963407u;
      std::swap(turns_[i - 1], turns_[(random_ >> 33) % i]);
    }
  }
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
    warp.started = warp.waiting = warp.at_activemask = warp.elsewhere = 0;
  }
  for (unsigned i = 0; turn(i) != thread_; ++i) warps_[turn(i) / warp_size].live &= ~bit(turn(i) % warp_size);
  warp().started |= bit(lane());
}

// The running thread has none yet.
Handover Block::begin_fiber(Fiber* from) {
  warp_->started |= bit(lane());
  Fiber* const fiber = &fiber_[thread_];
  stacks_.begin(thread_, fiber);
  return {from, fiber};
}

Handover Block::to_others() {
  Fiber* const from = &fiber_[thread_];
  set_thread(next_thread());
  if (!(warp_->started & bit(lane()))) return begin_fiber(from);
  return {from, &fiber_[thread_]};
}

const Fiber* Block::leave() {
  if (fibers_) {
    Warp& w = warp();
    w.live &= ~bit(lane());
    for (unsigned i = 0; i < w.n_pending; ++i)
      if (w.pending[i].mask & bit(lane())) returned_from(w.pending[i]);
    if (n_at_barrier_ > 0) divergent_barrier(thread_, "has returned");
  }
  if (--n_live_ == 0) return &outside_;
  return next_lane_is_ready() ? to_next_lane().to : to_others().to;
}

void fiber_main() {
  Block& block = *current;
  if (block.fibers_) return block.grid_->begin();
  block.run_threads();
  block.end_thread();
}

// --- barriers ----------------------------------------------------------------------------------------------------------

Handover Block::barrier(BarrierKind kind, bool predicate, Site site) {
  // Neither the first thread (barrier_site_ has no file then) nor the last (the next one has not arrived).
  if (site.file != barrier_site_.file || site.line != barrier_site_.line || kind != barrier_kind_ ||
      !next_lane_is_ready()) [[unlikely]]
    return barrier_of_others(kind, predicate, site);
  ++n_at_barrier_;
  barrier_votes_ += predicate;
  warp().waiting |= bit(lane());
  return to_next_lane();
}

Handover Block::barrier_of_others(BarrierKind kind, bool predicate, Site site) {
  become_fibers();
  warp().waits_at(site, lane());
  if (n_live_ < n_threads_) barrier_without_some(kind, site);
  if (n_at_barrier_ == 0) {
    barrier_kind_ = kind;
    barrier_site_ = site;
    barrier_votes_ = 0;
  } else if (kind != barrier_kind_ || !same_place(site, barrier_site_)) {
    another_barrier(kind, site);
  }
  barrier_votes_ += predicate;
  if (++n_at_barrier_ == n_threads_) {
    release_barrier();
    return go_on();
  }
  return wait();
}

void Block::release_barrier() {
  barrier_result_ = barrier_kind_ == BarrierKind::count ? barrier_votes_
                    : barrier_kind_ == BarrierKind::all ? barrier_votes_ == static_cast<int>(n_threads_)
                                                        : barrier_votes_ > 0;
  for (unsigned w = 0; w < n_warps_; ++w) warps_[w].waiting = warps_[w].elsewhere = 0;
  n_at_barrier_ = 0;
  barrier_site_ = {nullptr};
  ++barriers_passed_;
  if (observer) observer->barrier_passed(*this);
}

// --- collectives of a warp ---------------------------------------------------------------------------------------------

Collective& Block::arrive(uint32_t mask, const char* operation, Site site) {
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
  w.waiting &= ~c.mask;
  w.elsewhere &= ~c.mask;
  if (--w.n_pending > 0)
    c = w.pending[w.n_pending];
  else
    w.pending[0].mask = 0;
}

Handover Block::active_mask(Site site) {
  become_fibers();
  Warp& w = warp();
  w.waits_at(site, lane());
  w.at_activemask |= bit(lane());
  return wait();
}

}  // namespace dsllm::cuda::simt
