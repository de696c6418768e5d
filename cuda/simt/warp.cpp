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

}  // namespace

void sync_warp(uint32_t mask, Site site) {
  current->collective(mask, "__syncwarp", site, [](Warp&, uint32_t) {});
}

// Apart from the way that is always taken: what a fiber has on its stack while it waits shall be little, since thousands of
// stacks share a cache.
[[gnu::cold, gnu::noinline, noreturn]] static void wrong_source(uint32_t readable, unsigned source,
                                                                const char* operation, Site site) {
  current->fail(fmt::format("{} to read lanes of its mask alone, {}", operation, name_lanes(readable)),
                fmt::format("lane {} reads lane {}", current->lane(), source), site);
}

uint64_t shuffle(uint32_t mask, uint64_t value, unsigned source, const char* operation, Site site) {
  Block& block = *current;
  Warp& mine = block.warp();
  const uint32_t readable = mask & mine.lanes;
  if ((readable >> block.lane() & 1) && (source >= warp_size || !(readable >> source & 1)))
    wrong_source(readable, source, operation, site);
  mine.value[block.lane()] = value;
  mine.source[block.lane()] = source;
  const unsigned me = block.collective(mask, operation, site, [](Warp& w, uint32_t lanes) {
    for_each_lane(lanes, [&](unsigned lane) { w.result[lane] = w.value[w.source[lane]]; });
  });
  return mine.result[me];
}

void wrong_width(unsigned width, const char* operation, Site site) {
  current->fail(fmt::format("{} of segments of 1, 2, 4, 8, 16 or 32 lanes", operation),
                fmt::format("{}", static_cast<int>(width)), site);
}

uint32_t ballot(uint32_t mask, bool predicate, const char* operation, Site site) {
  Block& block = *current;
  Warp& mine = block.warp();
  mine.value[block.lane()] = predicate;
  const unsigned me = block.collective(mask, operation, site, [](Warp& w, uint32_t lanes) {
    uint32_t votes = 0;
    for_each_lane(lanes, [&](unsigned lane) { votes |= static_cast<uint32_t>(w.value[lane]) << lane; });
    for_each_lane(lanes, [&](unsigned lane) { w.result[lane] = votes; });
  });
  return static_cast<uint32_t>(mine.result[me]);
}

uint32_t match(uint32_t mask, uint64_t value, const char* operation, Site site) {
  Block& block = *current;
  Warp& mine = block.warp();
  mine.value[block.lane()] = value;
  const unsigned me = block.collective(mask, operation, site, [](Warp& w, uint32_t lanes) {
    for_each_lane(lanes, [&](unsigned lane) {
      uint32_t same = 0;
      for_each_lane(lanes,
                    [&](unsigned other) { same |= uint32_t{w.value[other] == w.value[lane]} << other; });
      w.result[lane] = same;
    });
  });
  return static_cast<uint32_t>(mine.result[me]);
}

int64_t reduce(uint32_t mask, int64_t value, Reduction reduction, const char* operation, Site site) {
  Block& block = *current;
  Warp& mine = block.warp();
  mine.value[block.lane()] = static_cast<uint64_t>(value);
  const unsigned me = block.collective(mask, operation, site, [&](Warp& w, uint32_t lanes) {
    auto total = static_cast<int64_t>(w.value[std::countr_zero(lanes)]);
    for_each_lane(lanes & (lanes - 1), [&](unsigned lane) {
      const auto x = static_cast<int64_t>(w.value[lane]);
      switch (reduction) {
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
  });
  return static_cast<int64_t>(mine.result[me]);
}

}  // namespace dsllm::cuda::simt

void __threadfence() {
  if (::dsllm::cuda::simt::observer) ::dsllm::cuda::simt::observer->fence(*::dsllm::cuda::simt::current);
}
void __threadfence_block() {}
void __threadfence_system() {
  __threadfence();
}
