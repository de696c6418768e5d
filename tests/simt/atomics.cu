// Atomics from many blocks on several OS threads: no update is lost, and each returns what was there before.
#include <algorithm>
#include <numeric>

#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

constexpr unsigned blocks = 60, block_threads = 64, n = blocks * block_threads;

__device__ unsigned global_thread() {
  return blockIdx.x * blockDim.x + threadIdx.x;
}

// Runs the kernel with 5 OS threads on [cell, what each thread was given back].
template <class T>
std::vector<T> run(void (*kernel)(T*), T begin) {
  std::vector<T> out;
  with_threads(5, [&] {
    std::vector<T> values(1 + n);
    values[0] = begin;
    out = on_device<T>({blocks, block_threads}, kernel, values);
  });
  return out;
}

template <class T>
__global__ void add_one(T* out) {
  out[1 + global_thread()] = atomicAdd(out, T(1));
}
template <class T>
__global__ void subtract_one(T* out) {
  out[1 + global_thread()] = atomicSub(out, T(1));
}
template <class T>
__global__ void exchange(T* out) {
  out[1 + global_thread()] = atomicExch(out, static_cast<T>(global_thread() + 1));
}
template <class T>
__global__ void take_ticket(T* out) {
  T seen = *static_cast<volatile T*>(out), before;
  while ((before = atomicCAS(out, seen, static_cast<T>(seen + 1))) != seen) seen = before;
  out[1 + global_thread()] = before;
}
__global__ void increment(unsigned* out) {
  out[1 + global_thread()] = atomicInc(out, 99u);
}
__global__ void decrement(unsigned* out) {
  out[1 + global_thread()] = atomicDec(out, 99u);
}

template <class T>
std::vector<T> sorted_tail(const std::vector<T>& out) {
  std::vector<T> tail(out.begin() + 1, out.end());
  std::sort(tail.begin(), tail.end());
  return tail;
}

}  // namespace

TEST_CASE_TEMPLATE("atomicAdd: each thread is given another number", T, int, unsigned, unsigned long long,
                   float, double) {
  const auto out = run<T>(add_one<T>, T(5));
  CHECK(out[0] == T(5 + n));
  const auto tickets = sorted_tail(out);
  for (unsigned i = 0; i < n; ++i) REQUIRE(tickets[i] == T(5 + i));
}

namespace {

// Blocks that run at the same time as far as there are OS threads, long enough to meet at the cell.
template <class T>
__global__ void add_often(T* cell) {
  meet();
  for (int i = 0; i < 100'000; ++i) atomicAdd(cell, T(1));
}
__global__ void exchange_often(unsigned* cell) {
  meet();
  for (int i = 0; i < 100'000; ++i) {
    unsigned seen = atomicAdd(cell, 0u), before;
    while ((before = atomicCAS(cell, seen, seen + 1)) != seen) seen = before;
  }
}

}  // namespace

TEST_CASE_TEMPLATE("atomics: no update is lost between OS threads", T, int, unsigned, unsigned long long,
                   float, double) {
  with_threads(4, [] {
    begin_meeting();
    CHECK(on_device<T>({4, 1}, add_often<T>, {T(0)})[0] == T(400'000));
    begin_meeting();
    CHECK(on_device<unsigned>({4, 1}, exchange_often, {0u})[0] == 400'000u);
  });
}

TEST_CASE_TEMPLATE("atomicSub, atomicExch, atomicCAS", T, int, unsigned, unsigned long long) {
  auto out = run<T>(subtract_one<T>, T(n));
  CHECK(out[0] == 0);
  auto seen = sorted_tail(out);
  for (unsigned i = 0; i < n; ++i) REQUIRE(seen[i] == T(i + 1));

  // Every value was there once: what threads were given back, and what is there at the end.
  out = run<T>(exchange<T>, T(0));
  std::sort(out.begin(), out.end());
  for (unsigned i = 0; i <= n; ++i) REQUIRE(out[i] == T(i));

  out = run<T>(take_ticket<T>, T(0));
  CHECK(out[0] == T(n));
  seen = sorted_tail(out);
  for (unsigned i = 0; i < n; ++i) REQUIRE(seen[i] == T(i));
}

TEST_CASE("atomicInc and atomicDec wrap") {
  for (const auto kernel : {increment, decrement}) {
    const auto out = run<unsigned>(kernel, 0u);
    CHECK(out[0] == (kernel == increment ? n % 100 : (100 - n % 100) % 100));
    std::vector<unsigned> counts(100);
    for (unsigned i = 1; i <= n; ++i) {
      REQUIRE(out[i] < 100);
      ++counts[out[i]];
    }
    for (unsigned i = 0; i < 100; ++i) {
      const unsigned turn = kernel == increment ? i : (100 - i) % 100;  // the how manieth value of a round
      CHECK(counts[i] == n / 100 + (turn < n % 100));
    }
  }
  // Above the limit both begin anew.
  const auto above = [](unsigned* x) { x[1] = atomicInc(x, 7u), x[3] = atomicDec(x + 2, 7u); };
  const auto out = on_device<unsigned>({1, 1}, +above, {50u, 0u, 50u, 0u});
  CHECK(out == std::vector<unsigned>{0u, 50u, 7u, 50u});
}

namespace {

// Lowest and highest of many numbers, and bits set, cleared and flipped.
template <class T>
__global__ void extremes(T* cells) {
  const T value = static_cast<T>((global_thread() * 2654435761u) >> 1) - T(1 << 30);
  atomicMin(cells, value);
  atomicMax(cells + 1, value);
}
template <class T>
__global__ void bits(T* cells) {
  const unsigned t = global_thread(), width = 8 * sizeof(T);
  atomicOr(cells, T(T(1) << t % width));
  atomicAnd(cells + 1, static_cast<T>(~(T(1) << t % width)));
  atomicXor(cells + 2, T(T(1) << t % width));
}

}  // namespace

TEST_CASE_TEMPLATE("atomicMin, atomicMax", T, int, unsigned, long long, unsigned long long) {
  std::vector<T> values;
  for (unsigned t = 0; t < n; ++t) values.push_back(static_cast<T>((t * 2654435761u) >> 1) - T(1 << 30));
  with_threads(5, [&] {
    const auto out = on_device<T>({blocks, block_threads}, extremes<T>, {values[7], values[7]});
    CHECK(out[0] == *std::min_element(values.begin(), values.end()));
    CHECK(out[1] == *std::max_element(values.begin(), values.end()));
  });
}

TEST_CASE_TEMPLATE("atomicAnd, atomicOr, atomicXor", T, int, unsigned, unsigned long long) {
  with_threads(5, [&] {
    const auto out = on_device<T>({blocks, block_threads}, bits<T>, {T(0), T(-1), T(0)});
    CHECK(out[0] == T(-1));
    CHECK(out[1] == 0);
    CHECK(out[2] == (n / (8 * sizeof(T)) % 2 == 0 ? T(0) : T(-1)));
    const auto some = on_device<T>({1, 5}, bits<T>, {T(0), T(-1), T(3)});
    CHECK(some[0] == 31);
    CHECK(some[1] == T(~T(31)));
    CHECK(some[2] == 28);
  });
}

namespace {

__global__ void add_pairs(__nv_bfloat162* b) {
  atomicAdd(b, __floats2bfloat162_rn(1, -2));
}
__global__ void add_half_pairs(__half2* h) {
  atomicAdd(h, __floats2half2_rn(1, -2));
}
// 256 + 1 is a tie in bf16, and stays 256: each part is rounded by itself, to even.
__global__ void round_pairs(__nv_bfloat162* b) {
  const __nv_bfloat162 before = atomicAdd(b, __floats2bfloat162_rn(1, 2));
  b[1] = before;
}
__global__ void exchange_float(float* x) {
  x[1] = atomicExch(x, 2.5f);
}
// In shared memory, by the lanes of several warps.
__global__ void histogram(int* out) {
  __shared__ int count[7];
  if (threadIdx.x < 7) count[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&count[threadIdx.x % 7], 1);
  __syncthreads();
  if (threadIdx.x < 7) atomicAdd(out + threadIdx.x, count[threadIdx.x]);
}

}  // namespace

TEST_CASE("atomicAdd of two numbers at once") {
  with_threads(5, [] {
    const auto b = on_device<__nv_bfloat162>({4, 32}, add_pairs, {__floats2bfloat162_rn(0, 0)});
    CHECK(__low2float(b[0]) == 128);
    CHECK(__high2float(b[0]) == -256);
    const auto h = on_device<__half2>({20, 32}, add_half_pairs, {__floats2half2_rn(0, 0)});
    CHECK(__low2float(h[0]) == 640);
    CHECK(__high2float(h[0]) == -1280);
  });
  const auto r = on_device<__nv_bfloat162>({1, 1}, round_pairs, {__floats2bfloat162_rn(256, 256), {}});
  CHECK(__low2float(r[0]) == 256);
  CHECK(__high2float(r[0]) == 258);
  CHECK(__low2float(r[1]) == 256);
  CHECK(__high2float(r[1]) == 256);
}

TEST_CASE("atomicExch of a float; atomics in shared memory") {
  CHECK(on_device<float>({1, 1}, exchange_float, {1.5f, 0.0f}) == std::vector<float>{2.5f, 1.5f});
  in_every_order([] {
    with_threads(5, [] {
      const auto out = on_device<int>({100, 96}, histogram, std::vector<int>(7));
      for (int i = 0; i < 7; ++i) CHECK(out[static_cast<size_t>(i)] == 100 * (96 / 7 + (i < 96 % 7)));
    });
  });
}
