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

__global__ void past_end(const float* x, float* y, int n) {
  const int i = static_cast<int>(threadIdx.x) + n - 31;
  y[threadIdx.x] = x[i];  // line: past_end
}

__global__ void before_begin(float* y) {
  y[-1 - static_cast<int>(threadIdx.x)] = 1.0f;
}

__global__ void copy_one(const float* x, float* y) {
  y[0] = x[0];
}

__global__ void write_one(float* y) {
  y[0] = 1.0f;
}

__global__ void read_double(const double* x, float* y) {
  y[0] = static_cast<float>(*x);
}

__global__ void static_gap(float* y, int i) {
  __shared__ __align__(64) float gap_before[5];
  gap_before[threadIdx.x % 5] = 1.0f;
  float* const p = gap_before;
  __syncthreads();
  y[threadIdx.x] = p[i];
}

__global__ void static_index(float* y, int i) {
  __shared__ float first[32];
  __shared__ float second[32];
  first[threadIdx.x] = 1.0f;
  second[threadIdx.x] = 2.0f;
  __syncthreads();
  y[threadIdx.x] = first[i] + second[threadIdx.x];  // line: static_index
}

__global__ void dynamic_end(float* y, int i) {
  auto* const shared = dynamic_shared<float>();
  shared[threadIdx.x] = 1.0f;
  __syncthreads();
  y[threadIdx.x] = shared[i];
}

__global__ void unwritten(float* y, int written) {
  __shared__ float part[4][8];
  const int i = static_cast<int>(threadIdx.x);
  if (i < written && blockIdx.x == 0) part[i / 8][i % 8] = 1.0f;
  __syncthreads();
  y[i] = part[i / 8][i % 8];  // line: unwritten
}

__global__ void three_bytes(int* y) {
  auto* const shared = dynamic_shared<unsigned char>();
  for (int i = 0; i < 3; ++i) *const_cast<volatile unsigned char*>(shared + i) = 1;
  y[0] = *reinterpret_cast<const int*>(shared);
}

__global__ void matrix(uint32_t* y, int rows) {
  __shared__ __align__(16) __nv_bfloat16 tile[8][8];
  const int i = static_cast<int>(threadIdx.x);
  for (int k = 0; k < 2; ++k)
    if (i / 4 < rows) tile[i / 4][2 * (i % 4) + k] = __float2bfloat16(1.0f);
  __syncthreads();
  uint32_t r[1];
  ldmatrix(r, &tile[i % 8][0]);  // line: matrix
  y[i] = r[0];
}

__global__ void foreign_stack(float* y) {
  __shared__ float* pointer;
  volatile float mine = 1.0f;
  if (threadIdx.x == 0) pointer = const_cast<float*>(&mine);
  __syncthreads();
  if (threadIdx.x == 1) y[0] = *pointer;
  __syncthreads();
}

__global__ void vector2(const float* x, float* y) {
  const auto* const v = reinterpret_cast<const float2*>(x + 1);
  y[0] = v->x + v->y;  // line: vector2
}

__global__ void vector4(const float* x, float* y) {
  const Vector<float> v = load16(x + 1);  // line: vector4
  y[0] = v[0] + v[3];
}

__constant__ const float table[4] = {1, 2, 3, 4};

__global__ void constant(float* y, int i) {
  y[0] = table[i & 3];
}

__device__ __noinline__ void fill(float* x, int n) {
  for (int i = 0; i < n; ++i) x[i] = static_cast<float>(i);
}

__global__ void local(float* y) {
  float mine[16];
  fill(mine, 16);
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < 16; ++i) sum += mine[(i + static_cast<int>(threadIdx.x)) % 16];
  y[threadIdx.x] = sum;
}

}  // namespace

void read_past_end(const float* x, float* y, int n) {
  run({1, 32}, past_end, x, y, n);
}
void write_before_begin(float* y) {
  run({1, 32}, before_begin, y);
}
void read_pointer(const float* x, float* y) {
  run({1, 1}, copy_one, x, y);
}
void write_pointer(float* y) {
  run({1, 1}, write_one, y);
}
void straddle_end(const void* x, float* y) {
  run({1, 1}, read_double, static_cast<const double*>(x), y);
}
void static_shared_past_end(float* y, int i) {
  run({1, 5}, static_gap, y, i);
}
void static_array_index(float* y, int i) {
  run({1, 32}, static_index, y, i);
}
void dynamic_shared_past_end(float* y, int i) {
  run({1, 32, 128}, dynamic_end, y, i);
}
void unwritten_shared(float* y, int written, int blocks) {
  run({dim3(static_cast<unsigned>(blocks)), 32}, unwritten, y, written);
}
void unwritten_byte(int* y) {
  run({1, 1, 4}, three_bytes, y);
}
void unwritten_matrix(uint32_t* y, int rows) {
  run({1, 32}, matrix, y, rows);
}
void another_stack(float* y) {
  run({1, 2}, foreign_stack, y);
}
void misaligned_vector(const float* x, float* y) {
  run({1, 1}, vector2, x, y);
}
void misaligned_load16(const float* x, float* y) {
  run({1, 1}, vector4, x, y);
}
void read_constant(float* y, int i) {
  run({1, 1}, constant, y, i);
}
void local_arrays(float* y) {
  run({1, 64}, local, y);
}

}  // namespace dsllm::cuda::wrong
