// __syncthreads in its four forms, and __syncwarp.
#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

// A sum by halving: wrong if one barrier lets a thread through too early.
__global__ void tree_sum(int* values) {
  int* const row = values + blockIdx.x * blockDim.x;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) row[threadIdx.x] += row[threadIdx.x + half];
    __syncthreads();
  }
}

// Each thread in turn writes where all others read.
__global__ void in_turn(int* out) {
  __shared__ int value;
  int wrong = 0;
  for (unsigned turn = 0; turn < blockDim.x; ++turn) {
    if (threadIdx.x == turn) value = static_cast<int>(1000 + turn);
    __syncthreads();
    wrong += value != static_cast<int>(1000 + turn);
    __syncthreads();
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = wrong;
}

// Round r: the threads with threadIdx.x % (r + 2) == 0 vote yes; round 30: all; 31: none. Predicates are any number but 0.
__global__ void vote(int* out) {
  const int t = static_cast<int>(threadIdx.x), n = static_cast<int>(blockDim.x);
  int wrong = 0;
  for (int r = 0; r < 32; ++r) {
    const auto yes = [&](int thread) { return r == 30 || (r < 30 && thread % (r + 2) == 0); };
    int expected = 0;
    for (int i = 0; i < n; ++i) expected += yes(i);
    const int predicate = yes(t) ? (r % 2 ? -4 : 256) : 0;
    wrong += __syncthreads_count(predicate) != expected;
    wrong += (__syncthreads_and(predicate) != 0) != (expected == n);
    wrong += (__syncthreads_or(predicate) != 0) != (expected > 0);
    wrong += __syncthreads_count(yes(t)) != expected;
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = wrong;
}

}  // namespace

TEST_CASE("__syncthreads separates what comes before from what comes after") {
  in_every_order([] {
    std::vector<int> values(4 * 1024);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int>(i);
    const auto sums = on_device<int>({4, 1024}, tree_sum, values);
    for (int b = 0; b < 4; ++b) CHECK(sums[static_cast<size_t>(b) * 1024] == 1024 * (b * 1024) + 1023 * 512);
    for (const unsigned n : {1u, 2u, 31u, 33u, 100u})
      for (const int wrong : on_device<int>({3, n}, in_turn, std::vector<int>(3 * n, -1)))
        REQUIRE(wrong == 0);
  });
}

TEST_CASE("__syncthreads_count, _and, _or") {
  in_every_order([] {
    for (const unsigned n : {1u, 31u, 32u, 33u, 96u, 250u})
      for (const int wrong : on_device<int>({3, n}, vote, std::vector<int>(3 * n, -1))) REQUIRE(wrong == 0);
  });
}

namespace {

// Lanes pass numbers to their neighbours through shared memory, with a __syncwarp on either side. The warps of a block do
// different numbers of rounds: no warp waits for another.
__global__ void neighbours(int* out) {
  __shared__ int row[128];
  const unsigned lane = threadIdx.x % 32, first = threadIdx.x - lane;
  const unsigned lanes = min(32u, blockDim.x - first);
  int value = static_cast<int>(threadIdx.x);
  for (unsigned round = 0; round < 3 + first / 32; ++round) {
    row[threadIdx.x] = value;
    __syncwarp();
    value = row[first + (lane + 1) % lanes] + 100;
    __syncwarp();
  }
  out[threadIdx.x] = value;
}

// The even lanes and the odd ones, apart.
__global__ void halves(int* out) {
  __shared__ int row[32];
  const unsigned lane = threadIdx.x;
  int value = static_cast<int>(lane);
  if (lane % 2 == 0) {
    for (int round = 0; round < 5; ++round) {
      row[lane] = value;
      __syncwarp(0x55555555u);
      value = row[(lane + 2) % 32];
      __syncwarp(0x55555555u);
    }
  } else {
    row[lane] = value;
    __syncwarp(0xaaaaaaaau);
    value = row[(lane + 30) % 32];
  }
  out[lane] = value;
}

}  // namespace

TEST_CASE("__syncwarp") {
  in_every_order([] {
    for (const int n : {1, 20, 32, 100, 128}) {
      const auto out = on_device<int>({1, static_cast<unsigned>(n)}, neighbours,
                                      std::vector<int>(static_cast<size_t>(n), -1));
      for (int t = 0; t < n; ++t) {
        const int first = t / 32 * 32, lanes = std::min(32, n - first), rounds = 3 + first / 32;
        CHECK(out[static_cast<size_t>(t)] == first + (t - first + rounds) % lanes + 100 * rounds);
      }
    }
    const auto out = on_device<int>({1, 32}, halves, std::vector<int>(32, -1));
    for (int t = 0; t < 32; ++t)
      CHECK(out[static_cast<size_t>(t)] == (t % 2 == 0 ? (t + 10) % 32 : (t + 30) % 32));
  });
}
