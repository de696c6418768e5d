#include "tests/simt/support.hpp"

#include <chrono>

namespace dsllm::simt_test {
namespace {

std::atomic<int> arrived;
int expected_to_meet;

// Every block adds up its threads' numbers: in a warp by shuffles, then over static shared memory, then through dynamic one.
__global__ void sums(int* out) {
  __shared__ int part[3];
  const int t = static_cast<int>(threadIdx.x);
  if (t == 0) meet();
  int sum = t + static_cast<int>(blockIdx.x);
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, distance);
  if (t % 32 == 0) part[t / 32] = sum;
  __syncthreads();
  int* const all = dynamic_shared<int>();
  if (t == 0) all[0] = part[0] + part[1] + part[2];
  __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = all[0];
}

}  // namespace

void begin_meeting() {
  arrived = 0;
  expected_to_meet = threads();
}

void meet() {
  ++arrived;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (arrived < expected_to_meet && std::chrono::steady_clock::now() < end) {
  }
}

void check_message(const std::string& message, const char* expected, const char* file) {
  const auto line = [&](int i) { return fmt::format("{}:{}", file, line_of[i].load()); };
  CHECK(message == fmt::format(fmt::runtime(expected), line(0), line(1), line(2), line(3)));
  check_still_works();
}

void check_still_works() {
  constexpr int threads = 96, blocks = 16;
  Stream stream;
  const DeviceTensor<int, 2> out("out", blocks, threads);
  begin_meeting();
  launch(stream, {blocks, threads, sizeof(int)}, sums, out.data);
  Tensor<int, 2> host(blocks, threads);
  out.download(host, stream);
  stream.synchronize();
  for (int b = 0; b < blocks; ++b)
    for (int t = 0; t < threads; ++t) REQUIRE(host(b, t) == threads * (threads - 1) / 2 + threads * b);
}

}  // namespace dsllm::simt_test
