#include "cuda/core/async_copy.hpp"
#include "cuda/core/kernel.hpp"
#include "tests/inspector/kernels.hpp"

namespace dsllm::cuda::wrong {
namespace {

template <class... P, class... A>
void run(const LaunchShape& shape, void (*kernel)(P...), A... arguments) {
  Stream stream;
  launch(stream, shape, kernel, arguments...);
  stream.synchronize();
}

__global__ void reverse_block(float* y, bool barrier) {
  __shared__ float tile[64];
  const unsigned i = threadIdx.x;
  tile[i] = static_cast<float>(i);  // line: reverse, write
  if (barrier) __syncthreads();
  y[i] = i < 32 ? 0.0f : tile[63 - i];  // line: reverse, read
}

__global__ void shift(float* y, int sync) {
  __shared__ float tile[32];
  const unsigned lane = threadIdx.x;
  tile[lane] = static_cast<float>(lane);  // line: shift, write
  if (sync == 1) (void)__shfl_sync(0xffffffffu, 1, 0);
  if (sync == 2) __syncwarp();
  y[lane] = tile[lane == 0 ? 0 : lane - 1];  // line: shift, read
}

__global__ void halves(float* y, int other) {
  __shared__ float tile[32];
  const unsigned lane = threadIdx.x;
  tile[lane] = static_cast<float>(lane);
  if (lane < 16) {
    __syncwarp(0x0000ffffu);
    y[lane] = tile[15 - lane];
  } else {
    __syncwarp(0xffff0000u);
    y[lane] = tile[static_cast<int>(47 - lane) - other];  // line: halves, read
  }
}

__global__ void write_one(float* y) {
  y[0] = 1.0f;  // line: write_one
}

__global__ void neighbour(float* x) {
  const unsigned b = blockIdx.x;
  x[b] = 1.0f;
  if (b > 0) x[gridDim.x + b] = x[b - 1];
}

__global__ void add(float* y) {
  atomicAdd(y, 1.0f);
}

__global__ void add_or_write(float* y) {
  if (blockIdx.x == 0)
    y[0] = 1.0f;  // line: add_or_write, write
  else
    atomicAdd(y, 1.0f);  // line: add_or_write, add
}

__global__ void last_block(float* parts, float* y, unsigned* counter, int fence) {
  __shared__ bool is_last;
  if (fence == 2) {
    __threadfence();
    __syncthreads();
  }
  parts[blockIdx.x * blockDim.x + threadIdx.x] = 1.0f;  // line: last_block, write
  if (fence == 1) __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last = atomicAdd(counter, 1u) == gridDim.x - 1;
    if (fence == 3) __threadfence();
  }
  __syncthreads();
  if (!is_last) return;
  float sum = 0;
  for (unsigned b = 0; b < gridDim.x; ++b)
    sum += parts[b * blockDim.x + threadIdx.x];  // line: last_block, read
  y[threadIdx.x] = sum;
  if (threadIdx.x == 0) *counter = 0;
}

// The usual order of the fence: behind the barrier, by the thread that counts.
__global__ void last_block_one_fence(float* parts, float* y, unsigned* counter) {
  __shared__ bool is_last;
  parts[blockIdx.x * blockDim.x + threadIdx.x] = 1.0f;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    is_last = atomicAdd(counter, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!is_last) return;
  float sum = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) sum += parts[b * blockDim.x + threadIdx.x];
  y[threadIdx.x] += sum;
  if (threadIdx.x == 0) *counter = 0;
}

__global__ void pipeline(const float* x, float* y, bool wait, bool barrier) {
  __shared__ __align__(16) float tile[128];
  const unsigned i = threadIdx.x;
  for (unsigned k = 0; k < 4; ++k) tile[4 * i + k] = 0;
  __syncthreads();
  copy_async16(tile + 4 * i, x + 4 * i);  // line: pipeline, copy
  commit_copies();
  if (wait) wait_copies<0>();
  if (barrier) __syncthreads();
  for (unsigned k = 0; k < 4; ++k) y[32 * k + i] = tile[32 * k + i];  // line: pipeline, read
}

__global__ void bytes(uint8_t* y) {
  y[threadIdx.x] = 1;
}

__global__ void readers(float* y) {
  __shared__ float all[33];
  if (blockIdx.x == gridDim.x - 1)
    y[0] = 2.0f;  // line: readers, write
  else
    *const_cast<volatile float*>(all + threadIdx.x) = y[0];  // line: readers, read
}

__global__ void both_read(float* y) {
  const float v = y[0];  // line: both_read, read
  y[1 + blockIdx.x] = v;
  if (blockIdx.x == 1) y[0] = 1.0f;  // line: both_read, write
}

}  // namespace

void reverse(float* y, bool barrier) {
  run({1, 64}, reverse_block, y, barrier);
}
void shift_in_warp(float* y, int sync) {
  run({1, 32}, shift, y, sync);
}
void halves_of_a_warp(float* y) {
  run({1, 32}, halves, y, 0);
}
void wrong_half(float* y) {
  run({1, 32}, halves, y, 16);
}
void all_write_one(float* y, int blocks, int threads) {
  run({dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads))}, write_one, y);
}
void read_neighbour_block(float* x, int blocks) {
  run({dim3(static_cast<unsigned>(blocks)), 1}, neighbour, x);
}
void add_atomically(float* y, int blocks) {
  run({dim3(static_cast<unsigned>(blocks)), 64}, add, y);
}
void atomic_and_plain(float* y, int blocks) {
  run({dim3(static_cast<unsigned>(blocks)), 1}, add_or_write, y);
}
void last_block_adds(float* parts, float* y, unsigned* counter, int blocks, int fence) {
  run({dim3(static_cast<unsigned>(blocks)), 64}, last_block, parts, y, counter, fence);
  if (fence == 1) run({dim3(static_cast<unsigned>(blocks)), 64}, last_block_one_fence, parts, y, counter);
}
void copy_async_pipeline(const float* x, float* y, bool wait, bool barrier) {
  run({1, 32}, pipeline, x, y, wait, barrier);
}
void bytes_side_by_side(uint8_t* y, int threads) {
  run({1, dim3(static_cast<unsigned>(threads))}, bytes, y);
}
void many_readers_one_writer(float* y, int blocks) {
  run({dim3(static_cast<unsigned>(blocks)), 32}, readers, y);
}

void read_then_write(float* y) {
  run({2, 1}, both_read, y);
}

}  // namespace dsllm::cuda::wrong
