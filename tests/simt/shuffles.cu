// The four shuffles beside a plain loop over the lanes, written from the CUDA C++ Programming Guide, "Warp Shuffle Functions":
// every width, every distance, every type that they take.
#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

enum class Shuffle { direct, up, down, exclusive_or };

// The lane whose value `lane` receives.
int source(Shuffle kind, int lane, int argument, int width) {
  const int begin = lane / width * width, end = begin + width;
  switch (kind) {
    case Shuffle::direct:  // "srcLane modulo width" of its own segment
      return begin + ((argument % width) + width) % width;
    case Shuffle::up:  // "the lower delta lanes will be unchanged"
      return int64_t{lane} - argument >= begin ? lane - argument : lane;
    case Shuffle::down:  // "the upper delta lanes will remain unchanged"
      return int64_t{lane} + argument < end ? lane + argument : lane;
    default: {  // "elements from earlier groups of threads" can be read, of later ones "their own value" is returned
      const int other = lane ^ argument;
      return other < end ? other : lane;
    }
  }
}

template <class T>
T number(int lane) {
  if constexpr (sizeof(T) == 2) {
    return T(static_cast<float>(lane) - 7.5f);
  } else {
    return static_cast<T>((lane - 11) * T{3} + static_cast<T>(sizeof(T) == 8 ? 5e12 : 0.75));
  }
}

template <class T>
__global__ void shuffle_all(int* wrong_count, const int* arguments, int n_arguments) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const T mine = number<T>(lane);
  int wrong = 0;
  const auto check = [&](Shuffle kind, T got, int argument, int width) {
    const T expected = number<T>(source(kind, lane, argument, width));
    wrong += std::memcmp(&got, &expected, sizeof(T)) != 0;
  };
  for (int width = 1; width <= 32; width *= 2)
    for (int i = 0; i < n_arguments; ++i) {
      const int a = arguments[i];
      check(Shuffle::direct, __shfl_sync(0xffffffffu, mine, a, width), a, width);
      if (a < 0) continue;
      check(Shuffle::up, __shfl_up_sync(0xffffffffu, mine, static_cast<unsigned>(a), width), a, width);
      check(Shuffle::down, __shfl_down_sync(0xffffffffu, mine, static_cast<unsigned>(a), width), a, width);
      if (a < 32) check(Shuffle::exclusive_or, __shfl_xor_sync(0xffffffffu, mine, a, width), a, width);
    }
  wrong_count[threadIdx.x] = wrong;
}

template <class T>
void check_type() {
  std::vector<int> arguments;
  for (int i = -33; i <= 40; ++i) arguments.push_back(i);
  for (const int i : {1000, 0x7fffffff, -0x7fffffff}) arguments.push_back(i);
  Stream stream;
  const auto n = static_cast<int>(arguments.size());
  const DeviceMemory device(n * int64_t{sizeof(int)}, "arguments", sizeof(int));
  const DeviceTensor<int, 1> wrong("wrong", 64);
  copy_to_device(device.data(), arguments.data(), device.size(), stream);
  launch(stream, {1, 64}, shuffle_all<T>, wrong.data, reinterpret_cast<const int*>(device.data()), n);
  Tensor<int, 1> host(64);
  wrong.download(host, stream);
  stream.synchronize();
  for (int t = 0; t < 64; ++t) REQUIRE(host(t) == 0);
}

}  // namespace

TEST_CASE_TEMPLATE("shuffles of all widths", T, int, unsigned, long, unsigned long, long long,
                   unsigned long long, float, double, __nv_bfloat16, __half) {
  check_type<T>();
  simt::set_order("backward");
  check_type<T>();
  simt::set_order("random:5");
  check_type<T>();
  simt::set_order("forward");
}

namespace {

// A distance beyond 2^31: nobody is so far away.
__global__ void far_away(int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  int same = 1;
  for (const unsigned delta : {0x80000000u, 0xffffffe1u, 0xffffffffu}) {
    same &= __shfl_up_sync(0xffffffffu, lane, delta) == lane;
    same &= __shfl_down_sync(0xffffffffu, lane, delta) == lane;
    same &= __shfl_down_sync(0xffffffffu, lane, delta, 8) == lane;
  }
  out[lane] = same;
}

// Pairs of bf16 and of f16 travel as one register.
__global__ void pairs(float* out) {
  const float x = static_cast<float>(threadIdx.x);
  const __nv_bfloat162 b = __shfl_xor_sync(0xffffffffu, __floats2bfloat162_rn(x, -x), 1);
  const __half2 h = __shfl_xor_sync(0xffffffffu, __floats2half2_rn(2 * x, -2 * x), 1);
  out[threadIdx.x] = __low2float(b) - __high2float(b) + __low2float(h) - __high2float(h);
}

// Lanes of a ragged warp, and lanes that the mask leaves out.
__global__ void partial(int* out) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  int sum = 0;
  if (threadIdx.x < 32) {
    if (lane >= 4 && lane < 12) sum = __shfl_sync(0x00000ff0u, 100 + lane, 4 + (lane + 1) % 8);
  } else {
    sum =
        __shfl_down_sync(0xffffffffu, 200 + lane, 1, 8);  // the guide: lanes that do not exist have no value
  }
  out[threadIdx.x] = sum;
}

}  // namespace

TEST_CASE("shuffles: far distances, pairs, some of the lanes") {
  in_every_order([] {
    for (const int same : on_device<int>({1, 32}, far_away, std::vector<int>(32))) CHECK(same == 1);
    const auto sums = on_device<float>({1, 32}, pairs, std::vector<float>(32));
    for (int t = 0; t < 32; ++t) CHECK(sums[static_cast<size_t>(t)] == 6.0f * static_cast<float>(t ^ 1));
    const auto some = on_device<int>({1, 32 + 16}, partial, std::vector<int>(48));
    for (int t = 0; t < 32; ++t)
      CHECK(some[static_cast<size_t>(t)] == (t >= 4 && t < 12 ? 100 + 4 + (t + 1) % 8 : 0));
    for (int t = 0; t < 16; ++t) CHECK(some[static_cast<size_t>(32 + t)] == 200 + (t % 8 == 7 ? t : t + 1));
  });
}
