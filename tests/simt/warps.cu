// What the lanes of a warp do together beside shuffles: votes, match, reduce, __activemask; and several of them at a time, by
// lanes that do not overlap. Each beside a plain loop over the lanes.
#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

constexpr unsigned all = 0xffffffffu;

// A number that depends on lane and round in no simple way.
__device__ unsigned mix(unsigned lane, unsigned round) {
  unsigned x = lane * 0x9e3779b9u ^ round * 0x85ebca6bu;
  x ^= x >> 15;
  x *= 0x2c1b3c6du;
  return x ^ x >> 13;
}

template <class F>
__device__ void each_lane(unsigned mask, const F& f) {
  for (unsigned lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1) f(lane);
}

__device__ int votes(unsigned mask, unsigned round) {
  const unsigned lane = threadIdx.x % 32;
  const auto yes = [&](unsigned l) { return round == 0 || (round > 1 && mix(l, round) % round != 0); };
  unsigned expected = 0;
  each_lane(mask, [&](unsigned l) { expected |= unsigned{yes(l)} << l; });
  const int predicate = yes(lane) ? 0x100 : 0;
  return (__ballot_sync(mask, predicate) != expected) + (__any_sync(mask, predicate) != (expected != 0)) +
         (__all_sync(mask, predicate) != (expected == mask));
}

template <class T>
__device__ int matches(unsigned mask, unsigned round) {
  const unsigned lane = threadIdx.x % 32;
  const auto value = [&](unsigned l) { return static_cast<T>(mix(l, round) % (round + 1)) * T(1.5); };
  unsigned same = 0;
  each_lane(mask, [&](unsigned l) { same |= unsigned{value(l) == value(lane)} << l; });
  int every = -1;
  const unsigned got = __match_all_sync(mask, value(lane), &every);
  return (__match_any_sync(mask, value(lane)) != same) + (got != (same == mask ? mask : 0)) +
         (every != (same == mask));
}

template <class T>
__device__ int sums(unsigned mask, unsigned round) {
  const unsigned lane = threadIdx.x % 32;
  const auto value = [&](unsigned l) { return static_cast<T>(mix(l, round)); };
  const T first = value(static_cast<unsigned>(__ffs(static_cast<int>(mask))) - 1);
  unsigned add = 0;
  T low = first, high = first;
  each_lane(mask, [&](unsigned l) {
    add += static_cast<unsigned>(value(l));
    low = value(l) < low ? value(l) : low;
    high = value(l) > high ? value(l) : high;
  });
  return (__reduce_add_sync(mask, value(lane)) != static_cast<T>(add)) +
         (__reduce_min_sync(mask, value(lane)) != low) + (__reduce_max_sync(mask, value(lane)) != high);
}

__device__ int bits(unsigned mask, unsigned round) {
  const unsigned lane = threadIdx.x % 32;
  // Few ones, so that `or` is not always full; many, so that `and` is not always empty.
  const auto few = [&](unsigned l) { return mix(l, round) & mix(l, round + 77) & mix(l, round + 99); };
  unsigned either = 0, both = all, odd = 0;
  each_lane(mask, [&](unsigned l) {
    either |= few(l);
    both &= ~few(l);
    odd ^= few(l);
  });
  return (__reduce_or_sync(mask, few(lane)) != either) + (__reduce_and_sync(mask, ~few(lane)) != both) +
         (__reduce_xor_sync(mask, few(lane)) != odd);
}

// In each round the warp falls apart into two sets of lanes that take different paths, and so have different collectives
// under way at the same time; then all meet again.
__global__ void everything(int* out) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned lanes = blockDim.x - (threadIdx.x - lane) >= 32 ? all : (1u << blockDim.x % 32) - 1;
  int wrong = 0;
  for (unsigned round = 0; round < 20; ++round) {
    unsigned some = 0;
    each_lane(lanes, [&](unsigned l) { some |= (mix(l, 1000 + round) & 1) << l; });
    if (some >> lane & 1) {
      wrong += votes(some, round) + matches<int>(some, round) + sums<int>(some, round);
      wrong += matches<double>(some, round) + bits(some, round);
    } else {
      const unsigned rest = lanes & ~some;
      wrong += bits(rest, round) + sums<unsigned>(rest, round) + matches<unsigned long long>(rest, round);
      wrong += votes(rest, round) + sums<int>(rest, round) + matches<float>(rest, round);
    }
    wrong += votes(lanes, round) + sums<int>(lanes, round) + matches<long>(lanes, round) + bits(lanes, round);
  }
  out[threadIdx.x] = wrong;
}

}  // namespace

TEST_CASE("votes, match and reduce, by disjoint parts of a warp at the same time") {
  in_every_order([] {
    for (const unsigned n : {1u, 2u, 17u, 32u, 45u, 128u})
      for (const int wrong : on_device<int>({1, n}, everything, std::vector<int>(n, -1))) REQUIRE(wrong == 0);
  });
}

namespace {

// A mask may name lanes that the last warp of the block does not have.
__global__ void ragged(unsigned* out) {
  int every = 0;
  out[threadIdx.x] = __ballot_sync(all, 1) | __match_any_sync(all, 5) | __match_all_sync(all, 5, &every);
  out[threadIdx.x] +=
      static_cast<unsigned>(__all_sync(all, 1)) + __reduce_add_sync(all, 1u) + static_cast<unsigned>(every);
}

// The same value in bits, not as numbers: 0 and -0 differ, a NaN equals itself.
__global__ void match_bits(unsigned* out) {
  const float value = threadIdx.x < 8 ? 0.0f : threadIdx.x < 16 ? -0.0f : NAN;
  out[threadIdx.x] = __match_any_sync(all, value);
}

}  // namespace

TEST_CASE("collectives of a ragged warp; match compares bits") {
  for (unsigned n = 1; n < 32; ++n)
    for (const unsigned x : on_device<unsigned>({1, n}, ragged, std::vector<unsigned>(n)))
      REQUIRE(x == ((1u << n) - 1) + 1 + n + 1);
  const auto same = on_device<unsigned>({1, 32}, match_bits, std::vector<unsigned>(32));
  CHECK(same[0] == 0xffu);
  CHECK(same[8] == 0xff00u);
  CHECK(same[16] == 0xffff0000u);
}

namespace {

// Eight groups of four lanes, each with as many shuffles as its number says, all under way together; then a sum of the warp.
__global__ void groups(int* out) {
  const unsigned lane = threadIdx.x % 32, group = lane / 4, mask = 0xfu << 4 * group;
  int value = static_cast<int>(lane);
  for (unsigned i = 0; i <= group; ++i) {
    value = __shfl_sync(mask, value, static_cast<int>(lane + 1) % 4, 4);
    if (i % 2) __syncwarp(mask);
  }
  out[threadIdx.x] = value * 1000 + __reduce_add_sync(all, value);
}

// Each lane alone, 32 masks in one warp, while the others do something else.
__global__ void alone(unsigned* out) {
  const unsigned lane = threadIdx.x;
  unsigned sum = 0;
  for (unsigned i = 0; i <= lane; ++i) sum += __ballot_sync(1u << lane, i % 2);
  out[lane] = sum;
}

}  // namespace

TEST_CASE("many collectives under way in one warp") {
  in_every_order([] {
    const auto out = on_device<int>({1, 64}, groups, std::vector<int>(64));
    for (int t = 0; t < 64; ++t) {
      const int lane = t % 32, group = lane / 4;
      CHECK(out[static_cast<size_t>(t)] == (4 * group + (lane + group + 1) % 4) * 1000 + 31 * 16);
    }
    const auto own = on_device<unsigned>({1, 32}, alone, std::vector<unsigned>(32));
    for (unsigned t = 0; t < 32; ++t) CHECK(own[t] == ((t + 1) / 2) << t);
  });
}

namespace {

// Lanes that are at the same __activemask at the same time, in branches inside of branches.
__global__ void active(unsigned* out) {
  const unsigned t = threadIdx.x;
  unsigned* const mine = out + 4 * t;
  mine[0] = __activemask();
  if (t % 2 == 0) {
    mine[1] = __activemask();
    if (t % 4 == 0) {
      mine[2] = __activemask();
    } else {
      mine[2] = __activemask();
    }
  } else if (t < 16) {
    mine[1] = __activemask();
    mine[2] = 0;
  } else {
    mine[1] = mine[2] = 0;
    if (t == 17) return;
  }
  __syncwarp(all & ~(1u << 17));
  mine[3] = __activemask();
}

// A sum by those that took the branch, as kernels use it.
__global__ void sum_of_branch(int* out) {
  const unsigned t = threadIdx.x % 32;
  int sum = -1;
  if (t % 3 == 1) {
    const unsigned mask = __activemask();
    sum = __reduce_add_sync(mask, static_cast<int>(t));
  }
  __syncthreads();
  out[threadIdx.x] = sum;
}

}  // namespace

TEST_CASE("__activemask in divergent code") {
  in_every_order([] {
    const auto out = on_device<unsigned>({1, 32}, active, std::vector<unsigned>(4 * 32, 7));
    for (unsigned t = 0; t < 32; ++t) {
      CAPTURE(t);
      CHECK(out[4 * t] == all);
      CHECK(out[4 * t + 1] == (t % 2 == 0 ? 0x55555555u : t < 16 ? 0x0000aaaau : 0));
      CHECK(out[4 * t + 2] == (t % 4 == 0 ? 0x11111111u : t % 2 == 0 ? 0x44444444u : 0));
      CHECK(out[4 * t + 3] == (t == 17 ? 7 : all & ~(1u << 17)));
    }
    const auto sums = on_device<int>({1, 96}, sum_of_branch, std::vector<int>(96));
    for (int t = 0; t < 96; ++t)
      CHECK(sums[static_cast<size_t>(t)] ==
            (t % 32 % 3 == 1 ? 1 + 4 + 7 + 10 + 13 + 16 + 19 + 22 + 25 + 28 + 31 : -1));
  });
}
