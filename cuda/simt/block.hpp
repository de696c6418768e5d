// One block of threads, run by one OS thread.
//
// Each CUDA thread is a fiber. It runs until it waits at a barrier or at a collective of its warp, and then another one of
// the block goes on; when the last one that is waited for arrives, all of them can. Which threads wait, and for what, is kept
// in 32-bit masks, one bit a lane. Until the first barrier or collective of a block no fiber is needed: its threads run one
// after another as plain calls.
//
// A thread waits in two steps. A function of the executor notes what it waits for, says whose turn it is (Handover), and
// returns; then the kernel itself goes over to that thread (hand_over). So a waiting thread has nothing on its stack but its
// kernel, since many stacks share a small cache, and every call returns to where it came from, as processors expect.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/simt/fiber.hpp"
#include "cuda/simt/order.hpp"
#include "cuda/simt/site.hpp"

namespace dsllm::cuda::simt {

inline constexpr unsigned warp_size = 32;
inline constexpr unsigned max_block_threads = 1024;

constexpr uint32_t bit(unsigned lane) {
  return 1u << lane;
}

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};

enum class BarrierKind : uint8_t { sync, count, all, any };

// What the lanes of a warp do together. Those named in `mask` have to arrive with the same mask and the same operation.
struct Collective {
  uint32_t mask = 0;
  uint32_t arrived = 0;
  const char* operation = "";
  Site site;  // of the first that arrived
};

// What a lane brings to the tensor core: where the result goes, and what it is made of.
struct Operands {
  void* result;
  const void *a, *b;
};

struct Warp {
  uint32_t lanes = 0;          // that exist: the last warp of a block may have fewer than 32
  uint32_t live = 0;           // have not returned
  uint32_t started = 0;        // have a stack
  uint32_t waiting = 0;        // for a barrier, for a collective, or:
  uint32_t at_activemask = 0;  // until nobody else of the warp can run
  uint32_t active = 0;         // the answer to those
  uint32_t elsewhere = 0;

  // Masks that do not overlap can be under way at the same time.
  Collective pending[warp_size];  // pending[0].mask is 0 if there is none
  unsigned n_pending = 0;

  // What each lane brought, and what it takes away.
  uint64_t value[warp_size];
  uint64_t result[warp_size];
  uint32_t source[warp_size];
  Operands operands[warp_size];
  // Where each lane of `elsewhere` waits; the others wait where the first one of their collective or barrier does.
  Site site[warp_size];
  void waits_at(Site place, unsigned lane) {
    site[lane] = place;
    elsewhere |= bit(lane);
  }

  uint32_t runnable() const { return live & ~waiting; }
};

// cp.async that was issued and not waited for.
struct PendingCopy {
  void* shared;
  const void* global;
  int bytes, valid;  // the rest becomes zero
  unsigned group;
  const void* pc;  // where it was issued
};

// What the system said of an access of a kernel.
struct Fault {
  enum Kind { memory, no_address, division } kind = memory;
  const void* address = nullptr;      // of memory
  const void* instruction = nullptr;  // that did it
  const void* caller = nullptr;       // of its function, if that is memcpy or the like; or null
};

// A kernel as the executor sees it: call(arguments) is one thread of it. So is begin(), as the whole of a fiber: it takes the
// arguments of the running block and never returns.
struct Grid {
  void (*call)(const void* arguments) = nullptr;
  void (*begin)() = nullptr;
  const void* arguments = nullptr;
  int64_t argument_bytes = 0;
  const void* function = nullptr;  // the kernel, for its name
  Index3 grid, block;
  int64_t shared_bytes = 0;
};

// From the running thread to the one whose turn it is; to itself if it can go on.
struct Handover {
  Fiber* from;
  const Fiber* to;
};
[[gnu::always_inline]] inline void hand_over(Handover turn) {
  if (turn.from != turn.to) [[likely]]
    switch_fiber(turn.from, turn.to);
}

class Block {
 public:
  Block();
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // Runs block number `index` of the grid to its end. Throws KernelError if the kernel is wrong.
  void run(const Grid& grid, int64_t index);

  // What a kernel reads (threadIdx and the others); public for speed.
  const Index3& thread_index() const { return indices_[thread_]; }
  Index3 block_index, block_dim, grid_dim;

  // Called by a thread of the block, which then hands over; behind that everybody has arrived.
  Handover barrier(BarrierKind kind, bool predicate, Site site);
  int barrier_result() const { return barrier_result_; }
  // For every lane of the mask. Finish(block, mask, site, variant) runs once, when the last one arrives, with what that one
  // brought; it computes warp().result from warp().value and its fellows.
  template <auto Finish>
  Handover collective(uint32_t mask, const char* operation, Site site, int variant = 0);
  // Its two ways. The usual one: the calling lane is neither the first nor the last of the only collective of its warp, comes to
  // it as the first one did and at the same place, and another lane belongs to it too.
  bool amid_others(uint32_t mask, const char* operation, Site site, unsigned another) const;
  Handover wait_amid_others();
  template <auto Finish>
  Handover join(uint32_t mask, const char* operation, Site site, int variant);
  Handover active_mask(Site site);
  // The running thread has returned from its kernel. Never returns.
  [[gnu::always_inline]] void end_thread() { switch_fiber(&dead_, leave()); }
  uint64_t result() { return warp().result[lane()]; }  // of the collective or of active_mask
  // Ends the whole kernel with a message about the running thread, at a line or at an instruction. If there is an address, its
  // description comes behind `got`.
  [[noreturn]] void fail(const std::string& expected, const std::string& got, Site site = {},
                         const void* address = nullptr);
  [[noreturn]] void fail_at(const std::string& expected, const std::string& got, const void* instruction,
                            const void* address = nullptr);
  [[noreturn]] void fault(const Fault& fault);
  // The executor is going to access memory on behalf of this instruction of the kernel: faults are reported there.
  void accesses_for(const void* instruction) { access_ = instruction; }
  bool in_kernel() const { return in_kernel_; }
  // As memory.hpp's, and knows the block's shared memory: "8 bytes past the end of the dynamic shared memory (512 bytes)".
  std::string describe_address(const void* address) const;

  unsigned thread() const { return thread_; }
  unsigned lane() const { return thread_ % warp_size; }
  unsigned thread_count() const { return n_threads_; }
  Warp& warp() { return *warp_; }
  const Grid& grid() const { return *grid_; }
  int64_t index() const { return index_; }
  std::byte* shared() const { return shared_; }
  int64_t shared_bytes() const { return grid_->shared_bytes; }
  Stacks& stacks() { return stacks_; }
  const Stacks& stacks() const { return stacks_; }
  bool owns(const void* address) const;  // stacks, arguments and the executor's own bookkeeping
  Index3 index_of(unsigned thread) const;
  uint32_t barriers_passed() const { return barriers_passed_; }

  // Copies that a thread issued with cp.async.
  struct AsyncCopies {
    std::vector<PendingCopy> pending;
    unsigned group = 0;  // the one that is being filled
  };
  AsyncCopies& async_copies() {
    has_copies_ = true;
    return copies_[thread_];
  }

 private:
  friend void fiber_main();
  static constexpr int64_t shared_fence = 1 << 20;  // behind shared memory: nobody steps over it by accident

  void start(const Grid& grid, int64_t index);
  void run_threads();  // on the first fiber of a block
  const Fiber* leave();
  // The ways that are nearly always taken are inline and call nothing; all others lie apart.
  void become_fibers() {
    if (!fibers_) begin_fibers();
  }
  void begin_fibers();
  void set_thread(unsigned thread);
  Handover begin_fiber(Fiber* from);
  Handover go_on() { return {&fiber_[thread_], &fiber_[thread_]}; }
  bool next_lane_is_ready() const;
  Handover to_next_lane();
  Handover to_others();
  Handover wait();
  // turns.cpp
  unsigned next_thread();
  unsigned next_forward(unsigned from);
  unsigned next_backward(unsigned from);
  unsigned next_random();
  unsigned turn(unsigned i) const;
  void release_barrier();
  // wrong_kernel.cpp
  [[noreturn]] void deadlock();
  [[noreturn]] void divergent_barrier(unsigned missing, const std::string& what);
  [[noreturn]] void barrier_without_some(BarrierKind kind, Site site);
  [[noreturn]] void another_barrier(BarrierKind kind, Site site);
  [[noreturn]] void not_in_mask(uint32_t mask, const char* operation, Site site);
  [[noreturn]] void returned_from(const Collective& c);
  [[noreturn]] void lanes_gone(uint32_t mask, const char* operation, Site site);
  Collective& arrive(uint32_t mask, const char* operation, Site site);
  Handover barrier_of_others(BarrierKind kind, bool predicate, Site site);
  void complete(Collective& c);

  unsigned thread_ = 0, n_threads_ = 0, n_warps_ = 0;
  Warp* warp_ = nullptr;  // of the running thread
  unsigned n_live_ = 0, n_at_barrier_ = 0;
  bool fibers_ = false;  // false: plain calls so far
  uint32_t barriers_passed_ = 0;
  BarrierKind barrier_kind_ = BarrierKind::sync;
  Site barrier_site_;
  int barrier_votes_ = 0, barrier_result_ = 0;
  Order order_;
  uint32_t in_order_ = 0;  // all bits if that is forward
  uint64_t random_ = 0;

  Fiber dead_;                          // that nobody will go on with
  Fiber outside_;                       // the OS thread's own stack
  Fiber fiber_[max_block_threads + 2];  // and two that are only looked at, behind the last
  Index3 indices_[max_block_threads];
  uint16_t turns_[max_block_threads];  // who begins when
  Warp warps_[max_block_threads / warp_size];
  std::vector<AsyncCopies> copies_;
  Stacks stacks_;

  const Grid* grid_ = nullptr;
  int64_t index_ = 0;
  std::byte* shared_memory_;  // the mapping; shared_ ends at its end, before a page that faults
  std::byte* shared_ = nullptr;
  bool in_kernel_ = false, has_copies_ = false;

  struct Failure {
    bool happened = false;
    std::string expected, got;
    Site site;
    const void* instruction = nullptr;
    const void* address = nullptr;  // to be described
    Fault fault;
    bool is_fault = false;
  };
  Failure failure_;
  const void* access_ = nullptr;
  [[noreturn]] void abandon();
  [[noreturn]] void report();
  void check_around_shared() const;
};

// The block that this OS thread runs, or null. Kernels reach everything through it.
extern constinit thread_local Block* current;

inline void Block::set_thread(unsigned thread) {
  thread_ = thread;
  warp_ = &warps_[thread / warp_size];
}

// Whether the next lane of the warp can go on and it is its turn: as usual.
inline bool Block::next_lane_is_ready() const {
  return warp_->live & ~warp_->waiting & in_order_ & bit(lane()) << 1;
}

inline Handover Block::to_next_lane() {
  Fiber* const from = &fiber_[thread_];
  ++thread_;
  if (!(warp_->started & bit(lane()))) [[unlikely]]
    return begin_fiber(from);
#ifndef DSLLM_SIMT_BOOST_CONTEXT
  // The one behind it: many stacks do not fit into the first cache.
  __builtin_prefetch(from[2].stack);
  __builtin_prefetch(static_cast<const char*>(from[2].stack) + 64);
#endif
  return {from, from + 1};
}

inline Handover Block::wait() {
  warp_->waiting |= bit(lane());
  return next_lane_is_ready() ? to_next_lane() : to_others();
}

// The next lane, which has not arrived, sees to it that this one is not the last.
inline bool Block::amid_others(uint32_t mask, const char* operation, Site site, unsigned another) const {
  const Collective& c = warp_->pending[0];
  return c.mask == mask && c.operation == operation && c.site.file == site.file && c.site.line == site.line &&
         (mask >> another & 1) && (mask >> lane() & 1) &&
         (warp_->live & ~warp_->waiting & in_order_ & mask) >> lane() >> 1 & 1;
}

inline Handover Block::wait_amid_others() {
  Warp& w = *warp_;
  const uint32_t me = bit(lane());
  w.pending[0].arrived |= me;
  w.waiting |= me;
  return to_next_lane();
}

template <auto Finish>
Handover Block::collective(uint32_t mask, const char* operation, Site site, int variant) {
  if (amid_others(mask, operation, site, lane())) [[likely]]
    return wait_amid_others();
  return join<Finish>(mask, operation, site, variant);
}

template <auto Finish>
[[gnu::noinline]] Handover Block::join(uint32_t mask, const char* operation, Site site, int variant) {
  become_fibers();
  Warp& w = warp();
  const unsigned lane = thread_ % warp_size;
  if (!(mask & bit(lane))) not_in_mask(mask, operation, site);
  mask &= w.lanes;  // CUDA ignores lanes that never existed
  if (mask & ~w.live) lanes_gone(mask, operation, site);
  Collective& c = arrive(mask, operation, site);
  if (c.arrived == mask) {
    Finish(*this, mask, site, variant);
    complete(c);
    return go_on();
  }
  w.waits_at(site, lane);
  return wait();
}

}  // namespace dsllm::cuda::simt
