// mma and ldmatrix beside plain loops. The places of the elements are written here from the PTX ISA's sections "Matrix Fragments
// for mma.m16n8k16 with floating point type", "... mma.m16n8k8 with .tf32" and "ldmatrix", apart from the executor's.
#include "cuda/core/tensor_core.hpp"

#include <random>

#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

enum Type { bf16_type, f16_type, tf32_type };

// Rows and columns of element i of a lane's fragment, for 16-bit types and for tf32.
template <Type type>
struct Places {
  static constexpr bool half = type != tf32_type;
  static constexpr int depth = half ? 16 : 8, a_elements = half ? 8 : 4, b_elements = half ? 4 : 2;

  __device__ static int a_row(int lane, int i) {
    if (half) return (i < 2 || (i >= 4 && i < 6)) ? lane / 4 : lane / 4 + 8;
    return i == 0 || i == 2 ? lane / 4 : lane / 4 + 8;
  }
  __device__ static int a_column(int lane, int i) {
    if (half) return i < 4 ? lane % 4 * 2 + (i & 1) : lane % 4 * 2 + (i & 1) + 8;
    return i < 2 ? lane % 4 : lane % 4 + 4;
  }
  __device__ static int b_row(int lane, int i) {
    if (half) return i < 2 ? lane % 4 * 2 + (i & 1) : lane % 4 * 2 + (i & 1) + 8;
    return i == 0 ? lane % 4 : lane % 4 + 4;
  }
  __device__ static int b_column(int lane, int) { return lane / 4; }
  __device__ static int c_row(int lane, int i) { return i < 2 ? lane / 4 : lane / 4 + 8; }
  __device__ static int c_column(int lane, int i) { return lane % 4 * 2 + (i & 1); }
};

template <Type type>
__device__ uint32_t encode(float x) {
  if (type == bf16_type) return bf16(x).bits;
  if (type == f16_type) return std::bit_cast<uint16_t>(__float2half_rn(x));
  return to_tf32(x);
}

// Every warp of every block: d [16, 8] += a [16, depth] b [depth, 8]; all row-major.
template <Type type>
__global__ void multiply(const float* a, const float* b, float* d) {
  using P = Places<type>;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t tile = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  a += tile * 16 * P::depth, b += tile * P::depth * 8, d += tile * 16 * 8;
  uint32_t ra[4] = {}, rb[2] = {};
  for (int i = 0; i < P::a_elements; ++i) {
    const uint32_t bits = encode<type>(a[P::a_row(lane, i) * P::depth + P::a_column(lane, i)]);
    P::half ? ra[i / 2] |= bits << 16 * (i % 2) : ra[i] = bits;
  }
  for (int i = 0; i < P::b_elements; ++i) {
    const uint32_t bits = encode<type>(b[P::b_row(lane, i) * 8 + P::b_column(lane, i)]);
    P::half ? rb[i / 2] |= bits << 16 * (i % 2) : rb[i] = bits;
  }
  float rd[4];
  for (int i = 0; i < 4; ++i) rd[i] = d[P::c_row(lane, i) * 8 + P::c_column(lane, i)];
  if (type == bf16_type) mma_bf16(rd, ra, rb);
  if (type == f16_type) mma_f16(rd, ra, rb);
  if (type == tf32_type) mma_tf32(rd, ra, rb);
  for (int i = 0; i < 4; ++i) d[P::c_row(lane, i) * 8 + P::c_column(lane, i)] = rd[i];
}

template <class T>
DeviceTensor<T, 1> to_device(const std::vector<T>& values, Stream& stream) {
  DeviceTensor<T, 1> device("values", values.size());
  copy_to_device(device.data, values.data(), device.bytes(), stream);
  return device;
}

template <Type type>
std::vector<float> multiply_on_device(const std::vector<float>& a, const std::vector<float>& b,
                                      std::vector<float> d) {
  Stream stream;
  const auto da = to_device(a, stream), db = to_device(b, stream), dd = to_device(d, stream);
  const auto tiles = static_cast<unsigned>(d.size() / 128);
  REQUIRE(tiles % 2 == 0);
  launch(stream, {tiles / 2, 64}, multiply<type>, da.data, db.data, dd.data);
  copy_to_host(d.data(), dd.data, dd.bytes(), stream);
  stream.synchronize();
  return d;
}

template <Type type>
std::vector<float> multiply_plainly(const std::vector<float>& a, const std::vector<float>& b,
                                    std::vector<float> d) {
  constexpr size_t depth = Places<type>::depth;
  for (size_t tile = 0; tile < d.size() / 128; ++tile)
    for (size_t i = 0; i < 16; ++i)
      for (size_t j = 0; j < 8; ++j)
        for (size_t k = 0; k < depth; ++k)
          d[tile * 128 + i * 8 + j] += a[tile * 16 * depth + i * depth + k] * b[tile * depth * 8 + k * 8 + j];
  return d;
}

template <Type type>
void check_mma() {
  constexpr size_t depth = Places<type>::depth;
  in_every_order([] {
    // Whole numbers: every sum is exact.
    constexpr size_t tiles = 40;
    std::mt19937 random(3);
    const auto fill = [&](size_t n, int most) {
      std::vector<float> v(n);
      for (float& x : v) x = static_cast<float>(static_cast<int>(random() % (2 * most + 1)) - most);
      return v;
    };
    const auto a = fill(tiles * 16 * depth, 100), b = fill(tiles * depth * 8, 100),
               d = fill(tiles * 128, 100'000);
    REQUIRE(multiply_on_device<type>(a, b, d) == multiply_plainly<type>(a, b, d));
  });
  // One element at a time, of a, then b, then d.
  constexpr size_t of_a = 16 * depth, of_b = depth * 8, of_d = 128, tiles = of_a + of_b + of_d;
  std::vector<float> a(tiles * of_a), b(tiles * of_b), d(tiles * of_d);
  for (size_t tile = 0; tile < tiles; ++tile) {
    for (size_t i = 0; tile < of_a && i < of_b; ++i) b[tile * of_b + i] = static_cast<float>(1 + i);
    if (tile < of_a) a[tile * of_a + tile] = 1;
    for (size_t i = 0; tile >= of_a && i < of_a; ++i) a[tile * of_a + i] = static_cast<float>(1 + i);
    if (tile >= of_a && tile < of_a + of_b) b[tile * of_b + tile - of_a] = 1;
    if (tile >= of_a + of_b) d[tile * of_d + tile - of_a - of_b] = 1;
  }
  REQUIRE(multiply_on_device<type>(a, b, d) == multiply_plainly<type>(a, b, d));
}

}  // namespace

TEST_CASE("mma.m16n8k16 of bf16") {
  check_mma<bf16_type>();
}
TEST_CASE("mma.m16n8k16 of f16") {
  check_mma<f16_type>();
}
TEST_CASE("mma.m16n8k8 of tf32") {
  check_mma<tf32_type>();
}

namespace {

// Products of any numbers, exact in float, and sums in float.
template <Type type>
void check_rounding() {
  constexpr size_t depth = Places<type>::depth, tiles = 200;
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  const auto fill = [&](size_t n) {
    std::vector<float> v(n);
    for (float& x : v) {
      const float r = normal(random);
      x = type == bf16_type  ? float{bf16(r)}
          : type == f16_type ? float{__half(r)}
                             : __uint_as_float(to_tf32(r));
    }
    return v;
  };
  const auto a = fill(tiles * 16 * depth), b = fill(tiles * depth * 8), d = fill(tiles * 128);
  const auto got = multiply_on_device<type>(a, b, d);
  for (size_t tile = 0; tile < tiles; ++tile)
    for (size_t i = 0; i < 16; ++i)
      for (size_t j = 0; j < 8; ++j) {
        double sum = d[tile * 128 + i * 8 + j], size = std::abs(sum);
        for (size_t k = 0; k < depth; ++k) {
          const double product =
              double{a[tile * 16 * depth + i * depth + k]} * double{b[tile * depth * 8 + k * 8 + j]};
          sum += product;
          size += std::abs(product);
        }
        // Each of `depth` additions rounds a partial sum that is at most `size`.
        const double error = std::abs(got[tile * 128 + i * 8 + j] - sum);
        REQUIRE(error <= static_cast<double>(depth) * 0x1p-24 * size);
      }
}

}  // namespace

TEST_CASE("mma adds in float") {
  check_rounding<bf16_type>();
  check_rounding<f16_type>();
  check_rounding<tf32_type>();
}

namespace {

// tf32 operands keep 10 bits of mantissa, whatever lies in the others.
__global__ void tf32_bits(float* out) {
  float d[4] = {};
  const uint32_t a[4] = {0x3f801fffu, 0x3f801fffu, 0x3f801fffu, 0x3f801fffu},
                 b[2] = {0x3f801fffu, 0x3f801fffu};
  mma_tf32(d, a, b);
  out[threadIdx.x] = d[0];
}

}  // namespace

TEST_CASE("tf32: rounding to it, and what the tensor core does not look at") {
  for (const float x : on_device<float>({1, 32}, tf32_bits, std::vector<float>(32))) CHECK(x == 8);
  CHECK(to_tf32(1.0f) == 0x3f800000u);
  CHECK(to_tf32(__uint_as_float(0x3f800fffu)) == 0x3f800000u);
  CHECK(to_tf32(__uint_as_float(0x3f801000u)) == 0x3f802000u);  // a tie goes away from zero
  CHECK(to_tf32(__uint_as_float(0xbf801000u)) == 0xbf802000u);
  CHECK(to_tf32(__uint_as_float(0x7f7fffffu)) == 0x7f800000u);
  CHECK(to_tf32(INFINITY) == 0x7f800000u);
  CHECK(std::isnan(__uint_as_float(to_tf32(NAN))));
  CHECK(pack_bf16(1, -2) == 0xc0003f80u);
}

namespace {

// Four matrices with different numbers everywhere, their rows `stride` numbers apart. Lanes whose address no matrix needs bring
// a null pointer.
template <int N, bool Transposed>
__global__ void load(uint32_t* out, int stride, bool static_memory) {
  __shared__ __align__(16) uint16_t fixed[4 * 8 * 8];
  uint16_t* const matrices = static_memory ? fixed : dynamic_shared<uint16_t>();
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  for (int i = lane; i < 4 * 8 * 8; i += 32)
    matrices[i / 8 * stride + i % 8] = static_cast<uint16_t>(1000 + i);
  __syncthreads();
  uint32_t r[N] = {};
  const uint16_t* const row = lane < 8 * N ? matrices + lane * stride : nullptr;
  if (Transposed) {
    ldmatrix_transposed(r, row);
  } else {
    ldmatrix(r, row);
  }
  for (int i = 0; i < N; ++i) out[(warp * 32 + lane) * 4 + i] = r[i];
}

template <int N, bool Transposed>
void check_load() {
  for (const int stride : {8, 16, 24, 72})
    for (const bool static_memory : {false, true}) {
      if (static_memory && stride != 8) continue;
      Stream stream;
      const DeviceTensor<uint32_t, 3> out("out", 2, 32, 4);
      fill_zero(out.data, out.bytes(), stream);
      launch(stream, {1, 64, 32 * 72 * 2}, load<N, Transposed>, out.data, stride, static_memory);
      Tensor<uint32_t, 3> host(2, 32, 4);
      out.download(host, stream);
      stream.synchronize();
      for (int warp = 0; warp < 2; ++warp)
        for (int lane = 0; lane < 32; ++lane)
          for (int m = 0; m < 4; ++m) {
            // "row = lane / 4, elements 2 (lane % 4) and the next", of matrix m; transposed: of its transpose.
            const int row = lane / 4, column = lane % 4 * 2;
            const auto element = [&](int r, int c) {
              return static_cast<uint32_t>(1000 + m * 64 + (Transposed ? c * 8 + r : r * 8 + c));
            };
            REQUIRE(host(warp, lane, m) ==
                    (m < N ? element(row, column) | element(row, column + 1) << 16 : 0));
          }
    }
}

}  // namespace

TEST_CASE("ldmatrix of one, two and four matrices, and transposed") {
  in_every_order([] {
    check_load<1, false>();
    check_load<2, false>();
    check_load<4, false>();
    check_load<1, true>();
    check_load<2, true>();
    check_load<4, true>();
  });
}
