// Device memory: owners, limits, copies that would leave an allocation.
#include "cuda/simt/memory.hpp"

#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

__global__ void count_nan(int* out, const float* floats, const bf16* halves, const double* doubles, int n) {
  int nan = 0;
  for (int i = 0; i < n; ++i)
    nan += std::isnan(floats[i]) + std::isnan(static_cast<float>(halves[i])) + std::isnan(doubles[i]);
  *out = nan;
}
__global__ void set_one(int* x) {
  *x = 1;
}

}  // namespace

TEST_CASE("new memory is aligned to 256 bytes, and NaN in every type") {
  Stream stream;
  for (const int n : {1, 3, 100, 5000}) {
    const DeviceTensor<float, 1> floats("floats", n);
    const DeviceTensor<bf16, 1> halves("halves", n);
    const DeviceTensor<double, 1> doubles("doubles", n);
    const DeviceTensor<int, 1> out("out", 1);
    for (const void* p :
         {static_cast<void*>(floats.data), static_cast<void*>(halves.data), static_cast<void*>(doubles.data)})
      CHECK(reinterpret_cast<uintptr_t>(p) % 256 == 0);
    launch(stream, {1, 1}, count_nan, out.data, floats.data, halves.data, doubles.data, n);
    int nan = 0;
    copy_to_host(&nan, out.data, 4, stream);
    stream.synchronize();
    CHECK(nan == 3 * n);
  }
}

TEST_CASE("memory has one owner") {
  const int64_t before = simt::device_memory_free();
  {
    DeviceMemory a(1000, "a"), b(500, "b");
    CHECK(simt::device_memory_free() == before - 1500);
    const std::byte* const data = a.data();
    DeviceMemory c(std::move(a));
    CHECK(c.data() == data);
    CHECK(c.size() == 1000);
    CHECK(a.data() == nullptr);
    CHECK(a.size() == 0);
    b = std::move(c);
    CHECK(b.data() == data);
    DeviceMemory none;
    none = std::move(b);
    CHECK(none.size() == 1000);
    const DeviceTensor<float, 2> empty("empty", 0, 5), tensor("tensor", 3, 5);
    CHECK(empty.bytes() == 0);
    CHECK(tensor.bytes() == 60);
    CHECK(tensor.extent[1] == 5);
  }
  CHECK(simt::device_memory_free() == before);
}

TEST_CASE("memory that runs out") {
  struct Restore {
    int64_t before = simt::device_memory_free();
    ~Restore() { simt::set_device_memory(before); }
  } restore;
  simt::set_device_memory(1000);
  CHECK(simt::device_memory_free() == 1000);
  const DeviceMemory a(600, "a");
  CHECK(message_of<DeviceError>([] { DeviceMemory(401, "weights"); }) ==
        "allocate weights: expected at most 400 bytes, which are free, got 401 bytes");
  CHECK(message_of<DeviceError>([] { DeviceMemory(-1, "weights"); }) ==
        "allocate weights: expected at most 400 bytes, which are free, got -1 bytes");
  CHECK(message_of<DeviceError>([] { DeviceMemory(INT64_MAX, "weights"); }) ==
        "allocate weights: expected at most 400 bytes, which are free, got 9223372036854775807 bytes");
  { const DeviceMemory b(400, "b"); }
  const DeviceMemory c(400, "c");
  CHECK(simt::device_memory_free() == 0);
  simt::set_device_memory(500);  // less than is in use
  CHECK(message_of<DeviceError>([] { DeviceMemory(1, "weights"); }) ==
        "allocate weights: expected at most 0 bytes, which are free, got 1 bytes");
}

TEST_CASE("a tensor whose size overflows, or that no machine has") {
  const int64_t big = int64_t{1} << 31;
  CHECK(message_of<ValueError>([&] { DeviceTensor<float, 2>("t", big, big); }) ==
        "DeviceTensor t: expected extents whose bytes fit in 63 bits, got [2147483648, 2147483648]");
  CHECK_THROWS_AS((DeviceTensor<float, 3>("t", big, big, 4)), ValueError);  // 2^66 bytes
  CHECK_THROWS_AS((DeviceTensor<float, 1>("t", -1)), ValueError);
  CHECK_THROWS_AS((DeviceTensor<float, 1>("t", int64_t{1} << 42)), DeviceError);  // 16 TiB
}

TEST_CASE("copies that would leave their allocation") {
  Stream stream;
  const DeviceMemory device(100, "weights");
  std::vector<std::byte> host(200);
  CHECK(message_of<DeviceError>([&] { copy_to_device(device.data() + 40, host.data(), 61, stream); }) ==
        "copy_to_device: expected at most the 60 bytes that are left of 'weights', got 61 bytes");
  CHECK(message_of<DeviceError>([&] { copy_to_host(host.data(), device.data(), 101, stream); }) ==
        "copy_to_host: expected at most the 100 bytes that are left of 'weights', got 101 bytes");
  CHECK(message_of<DeviceError>([&] { fill_zero(device.data(), -4, stream); }) ==
        "fill_zero: expected at most the 100 bytes that are left of 'weights', got -4 bytes");
  CHECK(message_of<DeviceError>([&] { copy_on_device(device.data(), device.data() - 4, 1, stream); }) ==
        "copy_on_device: expected device memory, got 4 bytes before the begin of 'weights' (100 bytes)");
  CHECK(message_of<DeviceError>([&] { copy_on_device(nullptr, device.data(), 1, stream); }) ==
        "copy_on_device: expected device memory, got a null pointer");
  CHECK(message_of<DeviceError>([&] { fill_zero(host.data(), 1, stream); }) ==
        fmt::format(
            "fill_zero: expected device memory, got {}, which is no device memory (a pointer of the host?)",
            fmt::ptr(host.data())));
  const std::byte* freed = nullptr;
  {
    const DeviceMemory gone(300, "gone");
    freed = gone.data() + 12;
  }
  CHECK(message_of<DeviceError>([&] { copy_to_host(host.data(), freed, 4, stream); }) ==
        "copy_to_host: expected device memory, got byte 12 of 'gone', which was freed");
  // Nothing to copy is no error, wherever from.
  copy_to_device(nullptr, nullptr, 0, stream);
  copy_to_host(nullptr, nullptr, 0, stream);
  stream.synchronize();

  DeviceTensor<float, 2> tensor("tensor", 2, 3);
  Tensor<float, 2> other(3, 2);
  CHECK_THROWS_AS(tensor.upload(other, stream), ShapeError);
  CHECK_THROWS_AS(tensor.download(other, stream), ShapeError);
}

TEST_CASE("freeing memory waits for the streams that may use it") {
  Stream stream;
  int host = 0;
  {
    const DeviceTensor<int, 1> x("x", 1);
    launch(stream, {1, 1}, set_one, x.data);
    copy_to_host(&host, x.data, 4, stream);
    CHECK(host == 0);
  }
  CHECK(host == 1);
  stream.synchronize();
}

TEST_CASE("what was freed is not given out again at once, and cannot be touched") {
  // Else a kernel that uses it would find somebody else's memory, and nobody would notice.
  std::vector<const std::byte*> seen;
  for (int i = 0; i < 20; ++i) {
    const DeviceMemory m(5000, "m");
    for (const std::byte* other : seen) CHECK(other != m.data());
    seen.push_back(m.data());
  }
}
