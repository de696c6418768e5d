// Static and dynamic shared memory: each block has its own, aligned, and begins with what nobody wrote.
#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

template <int Rows>
__global__ void transpose(int* matrix) {
  __shared__ int tile[Rows][33];
  int* const mine = matrix + blockIdx.x * Rows * 32;
  tile[threadIdx.y][threadIdx.x] = mine[threadIdx.y * 32 + threadIdx.x];
  __syncthreads();
  mine[threadIdx.x * Rows + threadIdx.y] = tile[threadIdx.y][threadIdx.x];
}

// Two arrays of different types behind each other in dynamic shared memory.
__global__ void reverse(int* values) {
  int* const ints = dynamic_shared<int>();
  double* const doubles = reinterpret_cast<double*>(ints + 256);
  int* const mine = values + blockIdx.x * blockDim.x;
  ints[threadIdx.x] = mine[threadIdx.x];
  doubles[threadIdx.x] = 0.5 * mine[threadIdx.x];
  __syncthreads();
  const unsigned other = blockDim.x - 1 - threadIdx.x;
  mine[threadIdx.x] = ints[other] + static_cast<int>(2 * doubles[other]);
}

}  // namespace

TEST_CASE("static shared memory: a block's threads see each other's writes, other blocks' not") {
  for (const int threads : {1, 3})
    with_threads(threads, [] {
      in_every_order([] {
        std::vector<int> matrix(20 * 16 * 32);
        for (size_t i = 0; i < matrix.size(); ++i) matrix[i] = static_cast<int>(i);
        const auto out = on_device<int>({20, {32, 16}}, transpose<16>, matrix);
        for (int b = 0; b < 20; ++b)
          for (int r = 0; r < 16; ++r)
            for (int c = 0; c < 32; ++c)
              REQUIRE(out[static_cast<size_t>(b * 512 + c * 16 + r)] == b * 512 + r * 32 + c);
      });
    });
}

TEST_CASE("dynamic shared memory") {
  in_every_order([] {
    std::vector<int> values(30 * 256);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int>(i);
    const auto out = on_device<int>({30, 256, 256 * 12}, reverse, values);
    for (int i = 0; i < 30 * 256; ++i)
      REQUIRE(out[static_cast<size_t>(i)] == 2 * (i / 256 * 256 + 255 - i % 256));
  });
}

namespace {

// Bit 0: dynamic shared memory is aligned to 128 bytes; 1: a static variable to what it asks for; 2: floats that nobody wrote
// are NaN; 3: so is bf16. Then the block writes, for the next one on this OS thread to find nothing of it.
__global__ void begin(int* out) {
  __shared__ __align__(64) char aligned[64];
  float* const floats = dynamic_shared<float>();
  const bf16* const halves = dynamic_shared<bf16>();
  const unsigned n = blockDim.x;
  int bits = reinterpret_cast<uintptr_t>(floats) % 128 == 0;
  bits |= (reinterpret_cast<uintptr_t>(aligned) % 64 == 0) << 1;
  bits |= std::isnan(floats[threadIdx.x]) << 2;
  bits |= std::isnan(static_cast<float>(halves[2 * threadIdx.x])) << 3;
  __syncthreads();
  floats[threadIdx.x] = 1;
  aligned[threadIdx.x % 64] = 1;
  out[blockIdx.x * n + threadIdx.x] = bits;
}

}  // namespace

TEST_CASE("shared memory is aligned, and NaN before somebody writes to it, in every block") {
  for (const unsigned n : {1u, 31u, 32u, 33u, 64u, 200u, 1024u}) {
    const auto out = on_device<int>({8, n, int64_t{4} * n}, begin, std::vector<int>(8 * n));
    for (const int bits : out) CHECK(bits == 15);
  }
}

namespace {

constexpr int most = 227 * 1024;

__global__ void use_all(int* out) {
  unsigned char* const all = dynamic_shared<unsigned char>();
  for (int i = static_cast<int>(threadIdx.x); i < most; i += 128)
    all[i] = static_cast<unsigned char>(i % 251);
  __syncthreads();
  int wrong = 0;
  for (int i = static_cast<int>(threadIdx.x); i < most; i += 128)
    wrong += all[most - 1 - i] != (most - 1 - i) % 251;
  out[threadIdx.x] = wrong;
}

}  // namespace

TEST_CASE("all the dynamic shared memory that the GPU has can be used") {
  for (const int wrong : on_device<int>({1, 128, most}, use_all, std::vector<int>(128, -1)))
    CHECK(wrong == 0);
}
