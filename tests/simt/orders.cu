// The orders in which threads and blocks take their turns: a missing barrier hides in one and shows in another, and a seed gives
// the same order again.
#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

// Each thread takes what its neighbour wrote; the barrier in between is missing.
template <int Distance>
__global__ void without_barrier(int* out) {
  __shared__ int row[64];
  const int t = static_cast<int>(threadIdx.x);
  row[t] = -1;
  __syncthreads();
  row[t] = t;
  out[t] = row[(t + Distance + 64) % 64];
}

template <int Distance>
int wrong_neighbours(const char* order) {
  simt::set_order(order);
  const auto out = on_device<int>({1, 64}, without_barrier<Distance>, std::vector<int>(64));
  simt::set_order("forward");
  int wrong = 0;
  for (int t = 0; t < 64; ++t) wrong += out[static_cast<size_t>(t)] != (t + Distance + 64) % 64;
  return wrong;
}

}  // namespace

TEST_CASE("a missing barrier is visible in one of the orders") {
  // Whoever takes from the thread before it, or after it, is wrong only at the ends in one order, and everywhere in the other.
  CHECK(wrong_neighbours<-1>("forward") <= 2);
  CHECK(wrong_neighbours<-1>("backward") >= 60);
  CHECK(wrong_neighbours<1>("forward") >= 60);
  CHECK(wrong_neighbours<1>("backward") <= 2);
  CHECK(wrong_neighbours<1>("random:7") > 10);
  CHECK(wrong_neighbours<-1>("random:7") > 10);
}

namespace {

// The turn of each thread, first before any barrier and then after one; of each block its own.
__global__ void turns(int* out) {
  __shared__ int next;
  const unsigned n = blockDim.x;
  int* const mine = out + blockIdx.x * 3 * n;
  mine[threadIdx.x] = atomicAdd(mine + 2 * n, 1);
  __syncthreads();
  if (threadIdx.x == 0) next = 0;
  __syncthreads();
  mine[n + threadIdx.x] = next++;
}

std::vector<int> turns_in(const std::string& order, int threads) {
  std::vector<int> out;
  simt::set_order(order);
  with_threads(threads, [&] { out = on_device<int>({20, 100}, turns, std::vector<int>(20 * 300)); });
  simt::set_order("forward");
  return out;
}

}  // namespace

TEST_CASE("forward and backward") {
  const auto forward = turns_in("forward", 1), backward = turns_in("backward", 1);
  for (size_t block = 0; block < 20; ++block)
    for (size_t t = 0; t < 100; ++t) {
      CHECK(forward[block * 300 + t] == static_cast<int>(t));
      CHECK(backward[block * 300 + t] == static_cast<int>(99 - t));
    }
}

TEST_CASE(
    "random: a seed gives the same order again, on any number of OS threads; another seed, or block, another "
    "one") {
  const auto first = turns_in("random:1", 1);
  CHECK(turns_in("random:1", 1) == first);
  CHECK(turns_in("random:1", 2) == first);
  CHECK(turns_in("random:1", 5) == first);
  CHECK(turns_in("random:2", 1) != first);
  for (size_t block = 0; block < 20; ++block)
    for (size_t part = 0; part < 2; ++part) {
      // Every turn once; and not in order.
      std::vector<int> turn(first.begin() + static_cast<int64_t>(block * 300 + part * 100),
                            first.begin() + static_cast<int64_t>(block * 300 + part * 100 + 100));
      CHECK(!std::is_sorted(turn.begin(), turn.end()));
      std::sort(turn.begin(), turn.end());
      for (int i = 0; i < 100; ++i) CHECK(turn[static_cast<size_t>(i)] == i);
      if (block > 0)
        CHECK(std::memcmp(&first[block * 300 + part * 100], &first[part * 100], 100 * sizeof(int)) != 0);
    }
}

namespace {

__global__ void order_of_blocks(int* out) {
  out[1 + blockIdx.x] = atomicAdd(out, 1);
}

}  // namespace

TEST_CASE("blocks too take their turns in the chosen order") {
  const auto run = [](const char* order) {
    std::vector<int> out;
    simt::set_order(order);
    with_threads(1, [&] { out = on_device<int>({50, 1}, order_of_blocks, std::vector<int>(51)); });
    simt::set_order("forward");
    return std::vector<int>(out.begin() + 1, out.end());
  };
  auto random = run("random:4");
  for (int i = 0; i < 50; ++i) {
    CHECK(run("forward")[static_cast<size_t>(i)] == i);
    CHECK(run("backward")[static_cast<size_t>(i)] == 49 - i);
  }
  CHECK(run("random:4") == random);
  CHECK(run("random:5") != random);
  CHECK(!std::is_sorted(random.begin(), random.end()));
  std::sort(random.begin(), random.end());
  for (int i = 0; i < 50; ++i) CHECK(random[static_cast<size_t>(i)] == i);
}

TEST_CASE("names of orders") {
  for (const char* good : {"forward", "backward", "random:0", "random:18446744073709551615"})
    CHECK_NOTHROW(simt::set_order(good));
  for (const char* bad : {"", "sideways", "random", "random:", "random:x", "random:1x", "random:-1",
                          "random:18446744073709551616"})
    CHECK(message_of<ValueError>([&] { simt::set_order(bad); }) ==
          std::string("order: expected forward, backward or random:SEED, got ") + bad);
  simt::set_order("forward");
}
