// Grids and blocks: every thread runs once, with the indices that the programming guide gives it, for all shapes of a block,
// on any number of OS threads.
#include <array>

#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

struct Indices {
  unsigned thread[3], block[3], block_dim[3], grid_dim[3];
  unsigned visits;
};

__device__ int64_t flat_block() {
  return blockIdx.x + int64_t{gridDim.x} * (blockIdx.y + int64_t{gridDim.y} * blockIdx.z);
}
__device__ int64_t flat_thread() {
  return threadIdx.x + int64_t{blockDim.x} * (threadIdx.y + int64_t{blockDim.y} * threadIdx.z);
}

template <bool Barrier>
__global__ void note_indices(Indices* out) {
  const int64_t threads = int64_t{blockDim.x} * blockDim.y * blockDim.z;
  Indices& me = out[flat_block() * threads + flat_thread()];
  if (Barrier) __syncthreads();
  me.thread[0] = threadIdx.x, me.thread[1] = threadIdx.y, me.thread[2] = threadIdx.z;
  if (Barrier) __syncthreads();
  me.block[0] = blockIdx.x, me.block[1] = blockIdx.y, me.block[2] = blockIdx.z;
  me.block_dim[0] = blockDim.x, me.block_dim[1] = blockDim.y, me.block_dim[2] = blockDim.z;
  me.grid_dim[0] = gridDim.x, me.grid_dim[1] = gridDim.y, me.grid_dim[2] = gridDim.z;
  ++me.visits;
}

void check_indices(dim3 grid, dim3 block) {
  const size_t threads = size_t{block.x} * block.y * block.z, blocks = size_t{grid.x} * grid.y * grid.z;
  for (const auto kernel : {note_indices<false>, note_indices<true>}) {
    const auto out = on_device<Indices>({grid, block}, kernel, std::vector<Indices>(blocks * threads));
    size_t i = 0;
    for (unsigned bz = 0; bz < grid.z; ++bz)
      for (unsigned by = 0; by < grid.y; ++by)
        for (unsigned bx = 0; bx < grid.x; ++bx)
          for (unsigned tz = 0; tz < block.z; ++tz)
            for (unsigned ty = 0; ty < block.y; ++ty)
              for (unsigned tx = 0; tx < block.x; ++tx, ++i) {
                const Indices& me = out[i];
                const bool right = me.thread[0] == tx && me.thread[1] == ty && me.thread[2] == tz &&
                                   me.block[0] == bx && me.block[1] == by && me.block[2] == bz &&
                                   me.block_dim[0] == block.x && me.block_dim[1] == block.y &&
                                   me.block_dim[2] == block.z && me.grid_dim[0] == grid.x &&
                                   me.grid_dim[1] == grid.y && me.grid_dim[2] == grid.z && me.visits == 1;
                CAPTURE(i);
                REQUIRE(right);
              }
  }
}

}  // namespace

TEST_CASE("every thread of a grid in three dimensions runs once, with its own indices") {
  in_every_order([] {
    check_indices({1}, {1});
    check_indices({3, 4, 5}, {1});
    check_indices({1}, {4, 3, 5});
    check_indices({2, 3, 2}, {7, 5, 3});
    check_indices({2}, {1, 1, 64});
    check_indices({2, 1, 2}, {2, 256, 2});
    check_indices({3}, {32, 32});
    check_indices({1, 2, 3}, {16, 4, 16});
  });
}

TEST_CASE("blocks of every size from 1 to 1024, with ragged last warps") {
  for (unsigned n = 1; n <= 1024; ++n) check_indices({2}, {n});
}

TEST_CASE("many blocks") {
  check_indices({40000}, {1});
  check_indices({1, 65535, 1}, {1});
  check_indices({1, 1, 65535}, {1});
}

namespace {
__global__ void count_visits(unsigned* count) {
  atomicAdd(count, 1u);
}
}  // namespace

TEST_CASE("blocks run on as many OS threads as are wanted") {
  for (const int n : {1, 2, 5})
    with_threads(n, [] { CHECK(on_device<unsigned>({1000, 33}, count_visits, {0u})[0] == 33000); });
}

namespace {

__global__ void meet_at_barrier(int* out) {
  if (threadIdx.x == 0) meet();
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(out, 1);
}

}  // namespace

TEST_CASE("as many OS threads as a large machine has, each with 1024 stacks and their guards") {
  // A system has 65530 mappings; two for each guard would be more than that.
  with_threads(64, [] {
    begin_meeting();
    CHECK(on_device<int>({64, 1024}, meet_at_barrier, {0})[0] == 64);
  });
}

namespace {

// Numbers whose sum depends on the order of the additions, added in the order of the program in each thread and of the lanes.
__global__ void rounding(float* out) {
  __shared__ float row[128];
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  float x = 1.0f / static_cast<float>(i + 3);
  for (int k = 0; k < 20; ++k) x = x * 1.37f + 0.1f / (1.0f + x);
  row[threadIdx.x] = x;
  __syncthreads();
  for (unsigned k = 1; k < blockDim.x; k *= 2) {
    const float other = row[(threadIdx.x + k) % blockDim.x];
    __syncthreads();
    row[threadIdx.x] += other;
    __syncthreads();
  }
  out[i] = row[threadIdx.x] + __shfl_xor_sync(0xffffffffu, x, 5);
}

}  // namespace

TEST_CASE("the same bits with 1, 2 and 5 OS threads, and in every order") {
  const LaunchShape shape{200, 128};
  const std::vector<float> zeros(200 * 128);
  std::vector<float> first;
  with_threads(1, [&] { first = on_device<float>(shape, rounding, zeros); });
  for (const int n : {2, 5})
    with_threads(n, [&] {
      in_every_order([&] {
        const std::vector<float> again = on_device<float>(shape, rounding, zeros);
        REQUIRE(std::memcmp(first.data(), again.data(), first.size() * sizeof(float)) == 0);
      });
    });
}

namespace {

// Where each thread's stack is, and in which turn the threads ran.
template <bool Barrier>
__global__ void stacks(uint64_t* out) {
  volatile char local = 0;
  if (Barrier) __syncthreads();
  out[threadIdx.x] = reinterpret_cast<uint64_t>(&local);
}

}  // namespace

TEST_CASE("threads without a barrier are plain calls on one stack; a barrier gives each its own") {
  const auto plain = on_device<uint64_t>({1, 256}, stacks<false>, std::vector<uint64_t>(256));
  for (const uint64_t address : plain) CHECK(address == plain[0]);
  auto own = on_device<uint64_t>({1, 256}, stacks<true>, std::vector<uint64_t>(256));
  std::sort(own.begin(), own.end());
  for (size_t i = 1; i < own.size(); ++i) CHECK(own[i] - own[i - 1] > 16384);
}

namespace {

// Arguments of several types and sizes, by value, that a thread changes for itself alone.
struct Big {
  double numbers[40];
};
__global__ void arguments(float* out, int a, Big big, const float* in, bool flag, uint16_t small) {
  big.numbers[3] += threadIdx.x;
  a += static_cast<int>(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = static_cast<float>(big.numbers[3] + a + in[0] + (flag ? 100 : 0) + small);
}

}  // namespace

TEST_CASE("arguments are copied at the launch, and each thread has its own") {
  Stream stream;
  DeviceTensor<float, 1> in("in", 1);
  const DeviceTensor<float, 1> out("out", 64);
  Tensor<float, 1> one(1), host(64);
  one(0) = 0.5f;
  in.upload(one, stream);
  Big big{};
  big.numbers[3] = 1000;
  int a = 7;
  launch(stream, {1, 64}, arguments, out.data, a, big, in.data, true, uint16_t{3});
  a = 1234;
  big.numbers[3] = 0;
  out.download(host, stream);
  stream.synchronize();
  for (int t = 0; t < 64; ++t) CHECK(host(t) == 1000.0f + 7 + 0.5f + 100 + 3 + 2.0f * static_cast<float>(t));
}

namespace {

// Threads below `first` return before the collective of those that remain.
__global__ void late(int* out, int first) {
  const int t = static_cast<int>(threadIdx.x);
  if (t < first) {
    out[t] = -1;
    return;
  }
  __syncwarp(0xffffffffu << first);
  out[t] = __shfl_sync(0xffffffffu << first, t, 31);
}

}  // namespace

TEST_CASE("a collective that a late thread reaches first, after others have returned") {
  in_every_order([] {
    for (int first = 0; first < 32; ++first) {
      Stream stream;
      const DeviceTensor<int, 1> out("out", 32);
      Tensor<int, 1> host(32);
      launch(stream, {1, 32}, late, out.data, first);
      out.download(host, stream);
      stream.synchronize();
      for (int t = 0; t < 32; ++t) CHECK(host(t) == (t < first ? -1 : 31));
    }
  });
}
