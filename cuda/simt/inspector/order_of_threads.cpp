#include "cuda/simt/inspector/order_of_threads.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dsllm::cuda::simt::inspector {

void OrderOfThreads::launch_begins() {
  first_block_ = block_ + 1;
  blocks_.clear();
  counters_.clear();
}

void OrderOfThreads::block_begins(const Block& block) {
  ++block_;
  blocks_.push_back(block.index());
  epoch_ = 0;
  n_threads_ = block.thread_count();
  std::fill(std::begin(clocks_fresh_), std::end(clocks_fresh_), false);
  std::fill(fenced_, fenced_ + n_threads_, -1);
  any_fence_ = false;
  changed_.clear();
  acquired_.clear();
}

void OrderOfThreads::barrier_passed() {
  ++epoch_;
}

// A lane's own clock begins at 1 after each barrier, what it knows of others at 0.
uint32_t& OrderOfThreads::clock(unsigned thread, unsigned lane) {
  const unsigned warp = thread / warp_size;
  if (!clocks_fresh_[warp] || clocks_epoch_[warp] != epoch_) {
    std::memset(clocks_[warp * warp_size], 0, warp_size * sizeof clocks_[0]);
    for (unsigned l = 0; l < warp_size; ++l) clocks_[warp * warp_size + l][l] = 1;
    clocks_fresh_[warp] = true;
    clocks_epoch_[warp] = epoch_;
  }
  return clocks_[thread][lane];
}

void OrderOfThreads::sync_warp(unsigned warp, uint32_t mask) {
  const unsigned first = warp * warp_size;
  clock(first, 0);
  uint32_t most[warp_size] = {};
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const uint32_t* mine = clocks_[first + static_cast<unsigned>(std::countr_zero(rest))];
    for (unsigned l = 0; l < warp_size; ++l) most[l] = std::max(most[l], mine[l]);
  }
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    std::memcpy(clocks_[first + lane], most, sizeof most);
    ++clocks_[first + lane][lane];
  }
}

Stamp OrderOfThreads::now(const Block& block) {
  Stamp s;
  s.block = block_;
  s.epoch = epoch_;
  s.thread = block.thread() & 1023u;
  s.clock = clock(block.thread(), block.lane()) & ((1u << 22) - 1);
  return s;
}

bool OrderOfThreads::ordered_in_block(Stamp before, Stamp now) {
  if (before.epoch < now.epoch || before.thread == now.thread) return true;
  if (before.thread / warp_size != now.thread / warp_size) return false;
  return clock(now.thread, before.thread % warp_size) >= before.clock;
}

bool OrderOfThreads::ordered(Stamp before, Stamp now, const void* address) {
  if (before.block == now.block) return ordered_in_block(before, now);
  // The changes of one counter have an order of their own.
  if (before.atomic) {
    const auto mine = changed_.find(address);
    if (mine != changed_.end() && ordered_in_block(mine->second, now)) return true;
  }
  for (const Acquired& a : acquired_) {
    if (!ordered_in_block(a.when, now)) continue;
    const Counter& counter = counters_[a.address];
    const auto releases = counter.by_block.find(before.block);
    if (releases == counter.by_block.end()) continue;
    for (const Release& r : releases->second) {
      if (r.position >= a.changes) break;
      const auto epoch = static_cast<int64_t>(before.epoch);
      // What others did before a barrier came before a fence behind that barrier; or all of them fenced.
      if (epoch < r.own_epoch || (before.thread == r.thread && epoch <= r.own_epoch) || epoch <= r.all_epoch)
        return true;
    }
  }
  return false;
}

void OrderOfThreads::fence(unsigned thread) {
  fenced_[thread] = epoch_;
  any_fence_ = true;
}

void OrderOfThreads::atomic(const void* address, Stamp now) {
  Counter& counter = counters_[address];
  changed_[address] = now;
  if (!counter.by_block.empty()) acquired_.push_back({now, address, counter.changes});
  if (any_fence_) {
    Release r{counter.changes, now.thread, fenced_[now.thread], -1};
    r.all_epoch = *std::min_element(fenced_, fenced_ + n_threads_);
    if (r.all_epoch >= static_cast<int64_t>(epoch_)) r.all_epoch = static_cast<int64_t>(epoch_) - 1;
    if (r.own_epoch >= 0 || r.all_epoch >= 0) counter.by_block[now.block].push_back(r);
  }
  ++counter.changes;
}

}  // namespace dsllm::cuda::simt::inspector
