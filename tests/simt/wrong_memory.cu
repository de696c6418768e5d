// Kernels that use memory wrongly: each stops with a message that names the kernel, block, thread, line, and what lies at the
// address, or what was written around.
#include "cuda/core/async_copy.hpp"
#include "cuda/core/tensor_core.hpp"
#include "cuda/core/vector.hpp"
#include "cuda/simt/memory.hpp"
#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

void check(const std::string& message, const char* expected) {
  check_message(message, expected, "wrong_memory.cu");
}

// A pointer inside of a struct, where the launch does not see it.
struct Hidden {
  float* pointer;
};

__global__ void store(Hidden x, int64_t i) {
  if (threadIdx.x == 3) HERE(0, x.pointer[i] = 1);
}
__global__ void load(Hidden x, int64_t i, float* out) {
  if (threadIdx.x == 3) HERE(0, *out = x.pointer[i]);
}
__global__ void store_in_turn(float* x, int n) {
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) HERE(0, x[i] = 1);
}

std::string wrong_store(float* pointer, int64_t i) {
  return wrong({1, 32}, store, Hidden{pointer}, i);
}

}  // namespace

TEST_CASE("global memory: past the end, before the begin") {
  const DeviceTensor<float, 1> x("x", 1024), out("out", 1);  // whole pages: the next byte faults
  check(wrong_store(x.data, 1024),
        "kernel store, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and shared memory "
        "inside of what "
        "the kernel was given, got an access: 0 bytes past the end of 'x' (4096 bytes)");
  check(wrong_store(x.data, 1030),
        "kernel store, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and shared memory "
        "inside of what "
        "the kernel was given, got an access: 24 bytes past the end of 'x' (4096 bytes)");
  check(wrong_store(x.data, 1024 + 10'000'000),  // many rows too far: still before anything else
        "kernel store, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and shared memory "
        "inside of what "
        "the kernel was given, got an access: 40000000 bytes past the end of 'x' (4096 bytes)");
  check(wrong_store(x.data, -1),
        "kernel store, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and shared memory "
        "inside of what "
        "the kernel was given, got an access: 4 bytes before the begin of 'x' (4096 bytes)");
  check(wrong_store(x.data, -10'000'000),
        "kernel store, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and shared memory "
        "inside of what "
        "the kernel was given, got an access: 40000000 bytes before the begin of 'x' (4096 bytes)");
  check(wrong({1, 32}, load, Hidden{x.data}, int64_t{1024}, out.data),
        "kernel load, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and shared memory "
        "inside of what "
        "the kernel was given, got an access: 0 bytes past the end of 'x' (4096 bytes)");
  check(wrong({1, 32}, store_in_turn, x.data, 1025),
        "kernel store_in_turn, block (0, 0, 0), thread (0, 0, 0), {0}: expected accesses to device and "
        "shared memory inside of "
        "what the kernel was given, got an access: 0 bytes past the end of 'x' (4096 bytes)");
}

TEST_CASE("global memory: writes around an allocation, where no page can fault") {
  const DeviceTensor<float, 1> x("x", 1000), y("y", 10);
  for (int again = 0; again < 2; ++again) {  // each launch answers for itself
    check(wrong_store(x.data, 1000),
          "kernel store: expected writes to device memory alone, got 'x' (4000 bytes): written 0 bytes past "
          "its end");
    check(wrong_store(x.data, 1001),
          "kernel store: expected writes to device memory alone, got 'x' (4000 bytes): written 4 bytes past "
          "its end");
    check(wrong_store(y.data, -2),
          "kernel store: expected writes to device memory alone, got 'y' (40 bytes): written 8 bytes before "
          "its begin");
  }
  // A kernel that fails otherwise too has one error, and the next launch none of it.
  const auto both = +[](Hidden h, float* null) {
    h.pointer[1000] = 1;
    *null = 1;
  };
  const std::string message = wrong({1, 1}, both, Hidden{x.data}, static_cast<float*>(nullptr));
  CHECK(message.find("a null pointer") != std::string::npos);
  check_still_works();
}

TEST_CASE("global memory: freed, null, and nowhere") {
  float* freed = nullptr;
  {
    const DeviceTensor<float, 1> x("x", 1000);
    freed = x.data;
  }
  check(wrong_store(freed, 5),
        "kernel store, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and shared memory "
        "inside of what "
        "the kernel was given, got an access: byte 20 of 'x', which was freed");
  check(wrong_store(nullptr, 5),
        "kernel store, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and shared memory "
        "inside of what "
        "the kernel was given, got an access: a null pointer");
  check(wrong_store(reinterpret_cast<float*>(0x10000), 0),
        "kernel store, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and shared memory "
        "inside of what "
        "the kernel was given, got an access: 0x10000, which is no device memory (a pointer of the host?)");
#if defined(__x86_64__)
  check(wrong_store(reinterpret_cast<float*>(uint64_t{1} << 60), 0),
        "kernel store, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and shared memory "
        "inside of what "
        "the kernel was given, got an access that is misaligned, or at an address that no memory has");
#endif
}

namespace {

__global__ void takes_pointers(int, const float*, View<float, 2>, float*) {}

}  // namespace

TEST_CASE("a pointer of the host, or to freed memory, as an argument") {
  Stream stream;
  std::vector<float> host(10);
  const DeviceTensor<float, 2> x("x", 2, 3);
  const auto launch_with = [&](const float* a, View<float, 2> b, float* c) {
    return message_of<KernelError>([&] {
      launch(stream, {1, 1}, takes_pointers, 7, a, b, c);
      stream.synchronize();
    });
  };
  CHECK(launch_with(host.data(), x, x.data) ==
        fmt::format("kernel takes_pointers: expected pointers to device memory, got argument 1: {}, which is "
                    "no device memory "
                    "(a pointer of the host?)",
                    fmt::ptr(host.data())));
  CHECK(launch_with(x.data, View<float, 2>(host.data(), {2, 5}), x.data).find("got argument 2: 0x") !=
        std::string::npos);
  // Null, nothing of an empty view, and the end of an allocation are no errors: nobody has used them yet.
  CHECK(launch_with(nullptr, View<float, 2>(host.data(), {0, 5}), x.data + 6) == "no error");
  float* freed = nullptr;
  {
    const DeviceTensor<float, 1> gone("gone", 1000);
    freed = gone.data;
  }
  CHECK(launch_with(x.data, x, freed + 1) ==
        "kernel takes_pointers: expected pointers to device memory, got argument 3: byte 4 of 'gone', which "
        "was freed");
  check_still_works();
}

namespace {

__global__ void store_shared(int i) {
  if (threadIdx.x == 3) HERE(0, dynamic_shared<float>()[i] = 1);
}
__global__ void store_shared_after_barrier(int i) {
  __syncthreads();
  if (threadIdx.x == 3) HERE(0, dynamic_shared<float>()[i] = 1);
  __syncthreads();
}

}  // namespace

TEST_CASE("dynamic shared memory: beyond its end, before its begin") {
  for (const auto kernel : {store_shared, store_shared_after_barrier}) {
    const std::string name = kernel == store_shared ? "store_shared" : "store_shared_after_barrier";
    const auto check_at = [&](int bytes, int i, const std::string& where) {
      check(wrong({2, 32, bytes}, kernel, i), ("kernel " + name + where).c_str());
    };
    const std::string fault =
        ", block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and shared memory inside of "
        "what the kernel was "
        "given, got an access: ";
    check_at(512, 128, fault + "0 bytes past the end of the dynamic shared memory (512 bytes)");
    check_at(512, 50'000, fault + "199488 bytes past the end of the dynamic shared memory (512 bytes)");
    check_at(0, 0, fault + "0 bytes past the end of the dynamic shared memory (0 bytes)");
    check_at(500, 128, fault + "12 bytes past the end of the dynamic shared memory (500 bytes)");
    // Before the next 128 bytes, where nothing faults.
    const std::string around =
        ", block (0, 0, 0): expected writes to shared memory inside of it, got a write ";
    check_at(500, 125, around + "0 bytes past the end of the dynamic shared memory (500 bytes)");
    check_at(500, 127, around + "8 bytes past the end of the dynamic shared memory (500 bytes)");
    check_at(512, -1, around + "4 bytes before the begin of the dynamic shared memory (512 bytes)");
    check_at(512, -60, around + "240 bytes before the begin of the dynamic shared memory (512 bytes)");
  }
}

namespace {

__global__ void read_16(float* x, float* out) {
  if (threadIdx.x == 3) out[0] = HERE(0, load16(x + 1021)[0]);
}
__global__ void read_16_past_the_end(float* x, float* out) {
  if (threadIdx.x == 3) out[0] = HERE(0, load16(x + 1024)[0]);
}
__global__ void write_16(bf16* x) {
  Vector<bf16> v{};
  HERE(0, store16(x + 4 + 8 * threadIdx.x, v));
}
__global__ void add_past_the_end(float* x) {
  if (threadIdx.x == 3) HERE(0, atomicAdd(x + 1024, 1.0f));
}
__global__ void add_misaligned(float* x) {
  HERE(0, atomicAdd(reinterpret_cast<float*>(reinterpret_cast<char*>(x) + 2), 1.0f));
}
__global__ void copy_past_the_end(float* x) {
  float* const shared = dynamic_shared<float>();
  HERE(0, copy_async16(shared + 4 * threadIdx.x, x + 1024 - 4 * 16 + 4 * threadIdx.x));
  commit_copies();
  wait_copies<0>();
}
__global__ void copy_misaligned(float* x) {
  HERE(0, copy_async16(dynamic_shared<float>() + 4 * threadIdx.x, x + 1));
}
__global__ void copy_to_global(float* x) {
  HERE(0, copy_async4(x, x + 1));
}
__global__ void matrix_in_global(float* x) {
  uint32_t r[4];
  HERE(0, ldmatrix(r, x));
}
__global__ void matrix_misaligned(float*) {
  uint32_t r[1];
  HERE(0, ldmatrix(r, dynamic_shared<char>() + 16 * (threadIdx.x % 8) + 8 * (threadIdx.x == 5)));
}

}  // namespace

TEST_CASE("16-byte accesses, atomics, cp.async and ldmatrix are reported at the kernel's line") {
  const DeviceTensor<float, 1> x("x", 1024), out("out", 1);
  check(wrong({1, 32}, read_16, x.data, out.data),
        "kernel read_16, block (0, 0, 0), thread (3, 0, 0), {0}: expected a read of 16 bytes at a multiple "
        "of 16, got a "
        "misaligned address: byte 4084 of 'x' (4096 bytes)");
  check(wrong({1, 32}, read_16_past_the_end, x.data, out.data),
        "kernel read_16_past_the_end, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device "
        "and shared memory "
        "inside of what the kernel was given, got an access: 0 bytes past the end of 'x' (4096 bytes)");
  check(wrong({1, 32}, write_16, reinterpret_cast<bf16*>(x.data)),
        "kernel write_16, block (0, 0, 0), thread (0, 0, 0), {0}: expected a write of 16 bytes at a multiple "
        "of 16, got a "
        "misaligned address: byte 8 of 'x' (4096 bytes)");
  check(wrong({1, 32}, add_past_the_end, x.data),
        "kernel add_past_the_end, block (0, 0, 0), thread (3, 0, 0), {0}: expected accesses to device and "
        "shared memory inside "
        "of what the kernel was given, got an access: 0 bytes past the end of 'x' (4096 bytes)");
  check(wrong({1, 32}, add_misaligned, x.data),
        "kernel add_misaligned, block (0, 0, 0), thread (0, 0, 0), {0}: expected an atomic access of 4 bytes "
        "at a multiple of "
        "4, got a misaligned address: byte 2 of 'x' (4096 bytes)");
  check(wrong({1, 32, 512}, copy_past_the_end, x.data),
        "kernel copy_past_the_end, block (0, 0, 0), thread (16, 0, 0), {0}: expected accesses to device and "
        "shared memory "
        "inside of what the kernel was given, got an access: 0 bytes past the end of 'x' (4096 bytes)");
  check(wrong({1, 32, 512}, copy_misaligned, x.data),
        "kernel copy_misaligned, block (0, 0, 0), thread (0, 0, 0), {0}: expected a read of 16 bytes at a "
        "multiple of 16, got "
        "a misaligned address: byte 4 of 'x' (4096 bytes)");
  check(wrong({1, 32, 512}, copy_to_global, x.data),
        "kernel copy_to_global, block (0, 0, 0), thread (0, 0, 0), {0}: expected cp.async to write shared "
        "memory, got byte 0 of "
        "'x' (4096 bytes)");
  check(wrong({1, 32, 512}, matrix_in_global, x.data),
        "kernel matrix_in_global, block (0, 0, 0), thread (0, 0, 0), {0}: expected ldmatrix.x4 to read rows "
        "of 16 bytes in "
        "shared memory, got byte 0 of 'x' (4096 bytes)");
  check(wrong({1, 32, 512}, matrix_misaligned, x.data),
        "kernel matrix_misaligned, block (0, 0, 0), thread (5, 0, 0), {0}: expected a read of 16 bytes at a "
        "multiple of 16, got "
        "a misaligned address: byte 88 of the dynamic shared memory (512 bytes)");
}

namespace {

struct Row {
  float numbers[2048];
};

// Compilers make such copies and loops to calls of the C library.
__global__ void copy_struct(const Row* from, Row* to) {
  if (threadIdx.x == 3) HERE(0, to[1] = from[0]);
}
__global__ void zero_loop(float* x, int n) {
  for (int i = 0; i < n; ++i) HERE(0, x[i] = 0);
}

}  // namespace

TEST_CASE("faults in memcpy and memset that the compiler made of a kernel's code") {
  const DeviceTensor<float, 1> a("a", 2048), b("b", 2048), c("c", 1024);
  std::string message =
      wrong({1, 32}, copy_struct, reinterpret_cast<const Row*>(a.data), reinterpret_cast<Row*>(b.data));
  CAPTURE(message);
  CHECK(message.find(fmt::format("thread (3, 0, 0), wrong_memory.cu:{}: ", line_of[0].load())) !=
        std::string::npos);
  CHECK(message.find(" bytes past the end of 'b' (8192 bytes)") !=
        std::string::npos);  // not always the first one
  check_still_works();
  message = wrong({1, 1}, zero_loop, c.data, 1025);
  CHECK(message.find(fmt::format("thread (0, 0, 0), wrong_memory.cu:{}: ", line_of[0].load())) !=
        std::string::npos);
  check_still_works();
}

namespace {

__device__ __noinline__ int recursion(volatile int* x, int depth) {
  volatile int local[64];
  local[depth % 64] = depth;
  *x = depth;
  return depth == 1'000'000'000 ? 0 : recursion(x, depth + 1) + local[depth % 64];
}
__global__ void recurse(int* x) {
  __syncthreads();
  *x = recursion(x, 0);
}
__global__ void large_array(int* x, int i) {
  volatile char local[300'000];
  local[i] = 1;
  *x = local[i];
}
__attribute__((no_sanitize("integer-divide-by-zero"))) __global__ void divide(int* x, int zero) {
  if (threadIdx.x == 2) HERE(0, x[0] = 7 / zero);
}

}  // namespace

TEST_CASE("a stack that overflows") {
  const DeviceTensor<int, 1> x("x", 64);
  for (int again = 0; again < 2; ++again) {
    std::string message = wrong({1, 64}, recurse, x.data);
    CAPTURE(message);
    CHECK(message.find("kernel recurse, block (0, 0, 0), thread (63, 0, 0)") == 0);
    CHECK(
        message.find("got an access: beyond the end of its stack: local arrays too large, or a recursion") !=
        std::string::npos);
    check_still_works();
    // The first byte that is touched lies beyond the next fiber's stack.
    message = wrong({1, 64}, large_array, x.data, 10);
    CAPTURE(message);
    CHECK(message.find("kernel large_array, block (0, 0, 0), thread (0, 0, 0)") == 0);
    CHECK(message.find("beyond the end of its stack") != std::string::npos);
    check_still_works();
  }
}

#if defined(__x86_64__)
TEST_CASE("a division of a whole number by zero") {
  const DeviceTensor<int, 1> x("x", 64);
  check(wrong({1, 64}, divide, x.data, 0),
        "kernel divide, block (0, 0, 0), thread (2, 0, 0), {0}: expected a divisor that is not zero, got a "
        "division of a whole "
        "number by zero");
}
#endif

namespace {

__global__ void fail_everywhere(Hidden x) {
  meet();
  x.pointer[1 << 22] = 1;
}

}  // namespace

TEST_CASE("after an error on every OS thread the next launch works on each") {
  for (const int threads : {1, 2, 5})
    with_threads(threads, [] {
      const DeviceTensor<float, 1> x("x", 16);
      for (int again = 0; again < 3; ++again) {
        begin_meeting();
        const std::string message = wrong({64, 1}, fail_everywhere, Hidden{x.data});
        CAPTURE(message);
        CHECK(message.find("kernel fail_everywhere, block (0, 0, 0), thread (0, 0, 0)") == 0);
        check_still_works();
      }
    });
}
