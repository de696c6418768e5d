// Whose turn it is: the order in which the threads of a block begin, and who goes on when one has to wait.
#include <bit>

#include "cuda/simt/block.hpp"

namespace dsllm::cuda::simt {
namespace {

uint32_t lanes_above(unsigned lane) {
  return lane == 31 ? 0 : ~0u << (lane + 1);
}
uint32_t lanes_below(unsigned lane) {
  return bit(lane) - 1;
}

}  // namespace

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

unsigned Block::next_thread() {
  Warp& w = warp();
  if (w.at_activemask && !w.runnable()) {
    // Nobody else of the warp can come any more: those that wait at the same line are active together.
    const Site site = w.site[std::countr_zero(w.at_activemask)];
    w.active = 0;
    for (unsigned lane = 0; lane < warp_size; ++lane)
      if ((w.at_activemask & bit(lane)) && same_place(w.site[lane], site)) w.active |= bit(lane);
    w.at_activemask &= ~w.active;
    w.waiting &= ~w.active;
    w.elsewhere &= ~w.active;
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
  if (const uint32_t below = mine & lanes_below(from % warp_size)) return first * warp_size + highest(below);
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

}  // namespace dsllm::cuda::simt
