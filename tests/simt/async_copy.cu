// cp.async: shared memory has the data once their group was waited for, and not before.
#include "cuda/core/async_copy.hpp"

#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

// Three groups of one number for each thread. Bit i of out tells whether number i is there: after the copies were issued, after
// waiting for all but two groups, all but one, and all.
__global__ void groups(const int* in, int* out) {
  int* const shared = dynamic_shared<int>();
  const unsigned t = threadIdx.x, n = blockDim.x;
  for (unsigned i = 0; i < 3; ++i) shared[i * n + t] = -1;
  for (unsigned i = 0; i < 3; ++i) {
    copy_async4(shared + i * n + t, in + i * n + t);
    commit_copies();
  }
  const auto seen = [&] {
    int bits = 0;
    for (unsigned i = 0; i < 3; ++i) bits |= (shared[i * n + t] == in[i * n + t]) << i;
    return bits;
  };
  out[4 * t] = seen();
  wait_copies<2>();
  out[4 * t + 1] = seen();
  wait_copies<1>();
  out[4 * t + 2] = seen();
  wait_copies<0>();
  out[4 * t + 3] = seen();
}

// What was not committed is in no group: waiting for all groups does not bring it, and the next commit takes it along.
__global__ void uncommitted(const int* in, int* out) {
  int* const shared = dynamic_shared<int>() + threadIdx.x;
  *shared = -1;
  copy_async4(shared, in + threadIdx.x);
  wait_copies<0>();
  out[4 * threadIdx.x] = *shared;
  commit_copies();
  commit_copies();  // an empty group
  wait_copies<1>();
  out[4 * threadIdx.x + 1] = *shared;
  // More groups allowed to be under way than there are: nothing to wait for.
  *shared = -2;
  copy_async4(shared, in + threadIdx.x);
  commit_copies();
  wait_copies<3>();
  out[4 * threadIdx.x + 2] = *shared;
  wait_copies<0>();
  out[4 * threadIdx.x + 3] = *shared;
}

}  // namespace

TEST_CASE("cp.async: copied at the wait for its group, and not before") {
  in_every_order([] {
    Stream stream;
    DeviceTensor<int, 1> in("in", 3 * 64);
    const DeviceTensor<int, 1> out("out", 4 * 64);
    Tensor<int, 1> numbers(3 * 64), host(4 * 64);
    for (int i = 0; i < 3 * 64; ++i) numbers(i) = 100 + i;
    in.upload(numbers, stream);
    launch(stream, {1, 64, 3 * 64 * 4}, groups, in.data, out.data);
    out.download(host, stream);
    stream.synchronize();
    for (int t = 0; t < 64; ++t) {
      CHECK(host(4 * t) == 0);
      CHECK(host(4 * t + 1) == 1);
      CHECK(host(4 * t + 2) == 3);
      CHECK(host(4 * t + 3) == 7);
    }
    launch(stream, {1, 64, 64 * 4}, uncommitted, in.data, out.data);
    out.download(host, stream);
    stream.synchronize();
    for (int t = 0; t < 64; ++t) {
      CHECK(host(4 * t) == -1);
      CHECK(host(4 * t + 1) == 100 + t);
      CHECK(host(4 * t + 2) == -2);
      CHECK(host(4 * t + 3) == 100 + t);
    }
  });
}

namespace {

// Rows of 8 bf16 in, those from `valid_rows` on as zeros, without reading them: they lie past the end.
__global__ void padded(const bf16* in, bf16* out, int valid_rows) {
  __shared__ __align__(16) bf16 tile[64 * 8];
  const int row = static_cast<int>(threadIdx.x);
  copy_async16(tile + row * 8, in + (row < valid_rows ? row * 8 : 1 << 20), row < valid_rows);
  commit_copies();
  wait_copies<0>();
  __syncthreads();
  const int other = 63 - row;  // somebody else's
  for (int i = 0; i < 8; ++i) out[other * 8 + i] = tile[other * 8 + i];
}

__global__ void padded4(const float* in, float* out, int valid) {
  float* const tile = dynamic_shared<float>();
  const int t = static_cast<int>(threadIdx.x);
  copy_async4(tile + t, in + t, t < valid);
  commit_copies();
  wait_copies<0>();
  __syncthreads();
  out[63 - t] = tile[63 - t];
}

// A ring of three stages, two copies ahead, as a GEMM has it: each tile is used while the next two are under way.
__global__ void ring(const float* in, float* out, int tiles) {
  float* const shared = dynamic_shared<float>();
  const int n = static_cast<int>(blockDim.x), t = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 2; ++i) {
    if (i < tiles) copy_async4(shared + i * n + t, in + i * n + t);
    commit_copies();
  }
  float sum = 0;
  for (int i = 0; i < tiles; ++i) {
    wait_copies<1>();
    __syncthreads();
    if (i + 2 < tiles) copy_async4(shared + (i + 2) % 3 * n + t, in + (i + 2) * n + t);
    commit_copies();
    sum = 2 * sum + shared[i % 3 * n + (t + 1) % n];
  }
  out[t] = sum;
}

}  // namespace

TEST_CASE("cp.async: zeros in place of rows that are not valid") {
  for (const int valid : {0, 1, 37, 64}) {
    Stream stream;
    DeviceTensor<bf16, 2> in("in", std::max(valid, 1), 8);
    const DeviceTensor<bf16, 2> out("out", 64, 8);
    Tensor<bf16, 2> rows(std::max(valid, 1), 8), host(64, 8);
    for (int64_t i = 0; i < rows.size(); ++i) rows.data[i] = bf16(static_cast<float>(i % 256 + 1));
    in.upload(rows, stream);
    launch(stream, {1, 64}, padded, in.data, out.data, valid);
    out.download(host, stream);
    stream.synchronize();
    for (int i = 0; i < 64 * 8; ++i)
      CHECK(float{host.data[i]} == (i < valid * 8 ? static_cast<float>(i % 256 + 1) : 0.0f));

    DeviceTensor<float, 1> in4("in4", 64);
    const DeviceTensor<float, 1> out4("out4", 64);
    Tensor<float, 1> numbers(64), host4(64);
    for (int i = 0; i < 64; ++i) numbers(i) = static_cast<float>(i + 1);
    in4.upload(numbers, stream);
    launch(stream, {1, 64, 256}, padded4, in4.data, out4.data, valid);
    out4.download(host4, stream);
    stream.synchronize();
    for (int i = 0; i < 64; ++i) CHECK(host4(i) == (i < valid ? static_cast<float>(i + 1) : 0.0f));
  }
}

TEST_CASE("cp.async: a ring of three stages") {
  in_every_order([] {
    for (const int tiles : {1, 2, 3, 4, 9}) {
      Stream stream;
      DeviceTensor<float, 1> in("in", tiles * 48);
      const DeviceTensor<float, 1> out("out", 48);
      Tensor<float, 1> numbers(tiles * 48), host(48);
      for (int i = 0; i < tiles * 48; ++i) numbers(i) = static_cast<float>(i);
      in.upload(numbers, stream);
      launch(stream, {1, 48, 3 * 48 * 4}, ring, in.data, out.data, tiles);
      out.download(host, stream);
      stream.synchronize();
      for (int t = 0; t < 48; ++t) {
        float sum = 0;
        for (int i = 0; i < tiles; ++i) sum = 2 * sum + static_cast<float>(i * 48 + (t + 1) % 48);
        CHECK(host(t) == sum);
      }
    }
  });
}
