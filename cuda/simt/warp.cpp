#include "cuda/simt/warp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "cuda/simt/observer.hpp"
#include "cuda/simt/waiting.hpp"

namespace dsllm::cuda::simt {
namespace {

template <class F>
void for_each_lane(uint32_t mask, const F& f) {
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) f(static_cast<unsigned>(std::countr_zero(rest)));
}

// What the last lane of a collective does for all.
void nothing(Block&, uint32_t, Site, int) {}

void give_sources(Block& block, uint32_t lanes, Site, int) {
  Warp& w = block.warp();
  for_each_lane(lanes, [&](unsigned lane) { w.result[lane] = w.value[w.source[lane]]; });
}

void count_votes(Block& block, uint32_t lanes, Site, int) {
  Warp& w = block.warp();
  uint32_t votes = 0;
  for_each_lane(lanes, [&](unsigned lane) { votes |= static_cast<uint32_t>(w.value[lane]) << lane; });
  for_each_lane(lanes, [&](unsigned lane) { w.result[lane] = votes; });
}

void find_same(Block& block, uint32_t lanes, Site, int) {
  Warp& w = block.warp();
  for_each_lane(lanes, [&](unsigned lane) {
    uint32_t same = 0;
    for_each_lane(lanes, [&](unsigned other) { same |= uint32_t{w.value[other] == w.value[lane]} << other; });
    w.result[lane] = same;
  });
}

void add_up(Block& block, uint32_t lanes, Site, int reduction) {
  Warp& w = block.warp();
  auto total = static_cast<int64_t>(w.value[std::countr_zero(lanes)]);
  for_each_lane(lanes & (lanes - 1), [&](unsigned lane) {
    const auto x = static_cast<int64_t>(w.value[lane]);
    switch (static_cast<Reduction>(reduction)) {
      case Reduction::add:
        total += x;
        break;
      case Reduction::min:
        total = std::min(total, x);
        break;
      case Reduction::max:
        total = std::max(total, x);
        break;
      case Reduction::bit_and:
        total &= x;
        break;
      case Reduction::bit_or:
        total |= x;
        break;
      case Reduction::bit_xor:
        total ^= x;
        break;
    }
  });
  for_each_lane(lanes, [&](unsigned lane) { w.result[lane] = static_cast<uint64_t>(total); });
}

[[gnu::noinline]] Handover join_shuffle(uint32_t mask, unsigned source, const char* operation, Site site) {
  Block& block = *current;
  const uint32_t readable = mask & block.warp().lanes;
  if ((readable & bit(block.lane())) && (source >= warp_size || !(readable & bit(source))))
    block.fail(fmt::format("{} to read lanes of its mask alone, {}", operation, name_lanes(readable)),
               fmt::format("lane {} reads lane {}", block.lane(), source), site);
  return block.join<give_sources>(mask, operation, site, 0);
}

}  // namespace

Handover sync_warp(uint32_t mask, Site site) {
  return current->collective<nothing>(mask, "__syncwarp", site);
}

Handover shuffle(Block& block, uint32_t mask, unsigned source, const char* operation, Site site) {
  if (source < warp_size && block.amid_others(mask, operation, site, source)) [[likely]]
    return block.wait_amid_others();
  return join_shuffle(mask, source, operation, site);
}

void wrong_width(unsigned width, const char* operation, Site site) {
  current->fail(fmt::format("{} of segments of 1, 2, 4, 8, 16 or 32 lanes", operation),
                fmt::format("{}", static_cast<int>(width)), site);
}

Handover ballot(uint32_t mask, bool predicate, const char* operation, Site site) {
  Block& block = *current;
  block.warp().value[block.lane()] = predicate;
  return block.collective<count_votes>(mask, operation, site);
}

Handover match(uint32_t mask, uint64_t value, const char* operation, Site site) {
  Block& block = *current;
  block.warp().value[block.lane()] = value;
  return block.collective<find_same>(mask, operation, site);
}

Handover reduce(uint32_t mask, int64_t value, Reduction reduction, const char* operation, Site site) {
  Block& block = *current;
  block.warp().value[block.lane()] = static_cast<uint64_t>(value);
  return block.collective<add_up>(mask, operation, site, static_cast<int>(reduction));
}

}  // namespace dsllm::cuda::simt

void __threadfence() {
  if (::dsllm::cuda::simt::observer) ::dsllm::cuda::simt::observer->fence(*::dsllm::cuda::simt::current);
}
void __threadfence_block() {}
void __threadfence_system() {
  __threadfence();
}
