#include "cuda/core/kernel.hpp"
#include "cuda/core/tensor_core.hpp"
#include "cuda/core/vector.hpp"
#include "tests/inspector/kernels.hpp"

namespace dsllm::cuda::wrong {
namespace {

template <class... P, class... A>
void run(const LaunchShape& shape, void (*kernel)(P...), A... arguments) {
  Stream stream;
  launch(stream, shape, kernel, arguments...);
  stream.synchronize();
}
dim3 extent(int n) {
  return dim3(static_cast<unsigned>(n));
}

__global__ void copy_each(const float* x, float* y, int stride, int offset) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  const float v = x[static_cast<int>(i) * stride + offset];  // line: copy_each, read
  y[i] = v;                                                  // line: copy_each, write
}

__global__ void copy_vectors(const float* x, float* y) {
  const unsigned i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
  store16(y + i, load16(x + i));
}

__global__ void read_first(const float* x, float* y) {
  y[threadIdx.x] = x[0];  // line: read_first
}

__global__ void naive(const float* x, float* y, int n) {
  const unsigned column = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 32 + threadIdx.y;
  const float v = x[row * static_cast<unsigned>(n) + column];  // line: naive, read
  y[column * static_cast<unsigned>(n) + row] = v;              // line: naive, write
}

template <int Width>
__global__ void tiled(const float* x, float* y, int n) {
  __shared__ float tile[32][Width];
  const unsigned column = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 32 + threadIdx.y;
  tile[threadIdx.y][threadIdx.x] = x[row * static_cast<unsigned>(n) + column];
  __syncthreads();
  const unsigned to_column = blockIdx.y * 32 + threadIdx.x, to_row = blockIdx.x * 32 + threadIdx.y;
  const float v = tile[threadIdx.x][threadIdx.y];  // line: tiled, read
  y[to_row * static_cast<unsigned>(n) + to_column] = v;
}

__global__ void vectors8(float* y, int stride) {
  auto* const shared = dynamic_shared<double>();
  shared[static_cast<int>(threadIdx.x) * stride] = 1.0;  // line: vectors8
  y[threadIdx.x] = 0;
}

__global__ void vectors16(float* y, int stride) {
  auto* const shared = dynamic_shared<float>();
  store16(shared + 4 * static_cast<int>(threadIdx.x) * stride, Vector<float>{});  // line: vectors16
  y[threadIdx.x] = 0;
}

__global__ void divergent(const float* x, float* y) {
  float sum = 0;
#pragma GCC unroll 1
  for (unsigned i = 0; i <= threadIdx.x; ++i) sum += x[32 * i + threadIdx.x];  // line: divergent
  y[threadIdx.x] = sum;
}

// One instruction for both rounds below, which a compiler may make two of.
__device__ __noinline__ float element(const float* x, unsigned i) {
  return x[i];  // line: read_twice
}

__global__ void read_twice(const float* x, float* y, int how) {
  const unsigned lane = threadIdx.x;
  float sum = 0;
#pragma GCC unroll 1
  for (unsigned round = 0; round < 2; ++round) {
    if (lane < 4 || round == 1) sum += element(x, 32 * round + lane);
    if (how == 0)
      __syncthreads();
    else
      sum += static_cast<float>(__shfl_sync(0xffffffffu, 0, 0));
  }
  y[lane] = sum;
}

__global__ void in_place(float* y) {
  y[blockIdx.x * blockDim.x + threadIdx.x] += 1.0f;
}

__global__ void matrices(uint32_t* y, int row_bytes) {
  auto* const shared = dynamic_shared<char>();
  for (unsigned i = threadIdx.x; i < 2048; i += 32) shared[i] = 0;
  __syncthreads();
  uint32_t r[4];
  const char* const row =
      shared + static_cast<int>(threadIdx.x % 8) * row_bytes + 16 * static_cast<int>(threadIdx.x / 8);
  ldmatrix(r, row);  // line: matrices
  y[threadIdx.x] = r[0] + r[1] + r[2] + r[3];
}

__global__ void product(float* y) {
  float d[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  mma_bf16(d, a, b);
  y[threadIdx.x] = d[0];
}

}  // namespace

void copy(const float* x, float* y, int blocks, int threads) {
  run({extent(blocks), extent(threads)}, copy_each, x, y, 1, 0);
}
void copy16(const float* x, float* y, int blocks, int threads) {
  run({extent(blocks), extent(threads)}, copy_vectors, x, y);
}
void strided_copy(const float* x, float* y, int blocks, int stride) {
  run({extent(blocks), 32}, copy_each, x, y, stride, 0);
}
void offset_copy(const float* x, float* y, int offset) {
  run({1, 32}, copy_each, x, y, 1, offset);
}
void broadcast(const float* x, float* y) {
  run({1, 32}, read_first, x, y);
}
void transpose_naive(const float* x, float* y, int n) {
  run({dim3(static_cast<unsigned>(n) / 32, static_cast<unsigned>(n) / 32), dim3(32, 32)}, naive, x, y, n);
}
void transpose_tile32(const float* x, float* y, int n) {
  run({dim3(static_cast<unsigned>(n) / 32, static_cast<unsigned>(n) / 32), dim3(32, 32)}, tiled<32>, x, y, n);
}
void transpose_tile33(const float* x, float* y, int n) {
  run({dim3(static_cast<unsigned>(n) / 32, static_cast<unsigned>(n) / 32), dim3(32, 32)}, tiled<33>, x, y, n);
}
void shared8(float* y, int stride) {
  run({1, 32, 8 * 32 * stride}, vectors8, y, stride);
}
void shared16(float* y, int stride) {
  run({1, 32, 16 * 32 * stride}, vectors16, y, stride);
}
void divergent_loop(const float* x, float* y) {
  run({1, 32}, divergent, x, y);
}
void meet(const float* x, float* y, int how) {
  run({1, 32}, read_twice, x, y, how);
}
void add_in_place(float* y, int blocks) {
  run({extent(blocks), 64}, in_place, y);
}
void ldmatrix_rows(uint32_t* y, int row_bytes) {
  run({1, 32, 2048}, matrices, y, row_bytes);
}
void mma_once(float* y) {
  run({1, 32}, product, y);
}

}  // namespace dsllm::cuda::wrong
