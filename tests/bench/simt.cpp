// What the executor costs, on one core: a switch between fibers, a barrier, a shuffle, a thread, an mma, a launch, and a row of
// RMSNorm as an example of all. `each` is the time of one of them, `launch` included.
#include <benchmark/benchmark.h>

#include "cuda/core/reduce.hpp"
#include "cuda/core/tensor_core.hpp"
#include "cuda/model/rmsnorm.hpp"
#include "ref/core/parallel.hpp"

using namespace dsllm;
using namespace dsllm::cuda;

namespace {

struct OneCore {
  OneCore() { set_threads(1); }
  ~OneCore() { set_threads(0); }
};

// Launches the kernel again and again; `count` things happen in one launch.
template <class... P, class... A>
void run(benchmark::State& state, double count, const LaunchShape& shape, void (*kernel)(P...),
         A... arguments) {
  const OneCore one_core;
  Stream stream;
  for (auto _ : state) {
    launch(stream, shape, kernel, arguments...);
    stream.synchronize();
  }
  state.counters["each"] =
      benchmark::Counter(count, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

// Two fibers that do nothing but switch to each other, from one place as those of a block do: the processor's guess of where a
// function returns to is right then. The second one begins as fibers do: it calls the kernel.
thread_local simt::Fiber first, second;
__noinline__ void bounce(simt::Fiber* mine, simt::Fiber* other, int64_t n) {
  for (int64_t i = 0; i < n; ++i) simt::switch_fiber(mine, other);
}
__global__ void switches(int n) {
  static thread_local bool in_second = false;
  if (in_second) bounce(&second, &first, INT64_MAX);
  __syncthreads();  // from here on threads are fibers
  in_second = true;
  simt::current->stacks().begin(1, &second);
  bounce(&first, &second, n);
  in_second = false;
}
void fiber_switch(benchmark::State& state) {
  run(state, 2 * 100'000, {1, 1}, switches, 100'000);
}
BENCHMARK(fiber_switch);

__global__ void barriers(int n) {
  for (int i = 0; i < n; ++i) __syncthreads();
}
void syncthreads(benchmark::State& state) {
  const auto threads = static_cast<unsigned>(state.range(0));
  run(state, 500.0 * threads, {1, threads}, barriers, 500);
}
BENCHMARK(syncthreads)->Arg(64)->Arg(256)->Arg(1024);

__global__ void shuffles(int n) {
  int x = static_cast<int>(threadIdx.x);
  for (int i = 0; i < n; ++i) x += __shfl_xor_sync(0xffffffffu, x, 1 + i % 31);
  benchmark::DoNotOptimize(x);
}
void shuffle(benchmark::State& state) {
  const auto threads = static_cast<unsigned>(state.range(0));
  run(state, 1000.0 * threads, {1, threads}, shuffles, 1000);
}
BENCHMARK(shuffle)->Arg(32)->Arg(256);

__global__ void one_store(float* out) {
  out[blockIdx.x * blockDim.x + threadIdx.x] = static_cast<float>(threadIdx.x);
}
void thread_without_barriers(benchmark::State& state) {
  const DeviceTensor<float, 1> out("out", 100 * 256);
  run(state, 100 * 256, {100, 256}, one_store, out.data);
}
BENCHMARK(thread_without_barriers);

__global__ void products(int n) {
  float d[4] = {};
  const uint32_t a[4] = {0x3f803f80u, 0x3f803f80u, 0x3f803f80u, 0x3f803f80u},
                 b[2] = {0x3f803f80u, 0x3f803f80u};
  for (int i = 0; i < n; ++i) mma_bf16(d, a, b);
  benchmark::DoNotOptimize(d);
}
void mma_m16n8k16(benchmark::State& state) {
  run(state, 1000, {1, 32}, products, 1000);
}
BENCHMARK(mma_m16n8k16);

__global__ void nothing() {}
void empty_launch(benchmark::State& state) {
  run(state, 1, {1, 1}, nothing);
}
BENCHMARK(empty_launch);

// Rows of 4096 floats by the kernel that the project takes for them (step 3 of its ladder): a block of 256 threads a row.
void rmsnorm_of_4096(benchmark::State& state) {
  constexpr int64_t rows = 32, row_length = 4096;
  Stream stream;
  const DeviceTensor<float, 2> x("x", rows, row_length), y("y", rows, row_length);
  const DeviceTensor<float, 1> weight("weight", row_length), inv_rms("inv_rms", rows);
  fill_zero(x.data, x.bytes(), stream);
  fill_zero(weight.data, weight.bytes(), stream);
  const OneCore one_core;
  for (auto _ : state) {
    rmsnorm_forward<float>(x, weight, 1e-6, y, inv_rms, stream);
    stream.synchronize();
  }
  state.counters["each"] =
      benchmark::Counter(rows, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(rmsnorm_of_4096);

}  // namespace
