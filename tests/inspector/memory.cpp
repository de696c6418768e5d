// What a kernel may not touch: each case with its message.
#include "tests/inspector/kernels.hpp"
#include "tests/inspector/support.hpp"

namespace dsllm::cuda {

#define CHECK_CONTAINS(text, part) CHECK_MESSAGE((text).find(part) != std::string::npos, (text))

TEST_CASE("inspector: a read past the end of an allocation, inside of its pages") {
  const auto x = zeros<float>("x", 40);
  auto y = zeros<float>("y", 32);
  const std::string text = message_of([&] { wrong::read_past_end(x.data, y.data, 40); });
  CHECK_CONTAINS(text, "kernel past_end, block (0, 0, 0), thread (31, 0, 0), " +
                           place_of("memory_kernels.cu", "past_end"));
  CHECK_CONTAINS(text, "expected a read of 4 bytes inside of device or shared memory");
  CHECK_CONTAINS(text, "got 0 bytes past the end of 'x' (160 bytes)");
  CHECK(message_of([&] { wrong::read_past_end(x.data, y.data, 39); }) == "no error");
}

TEST_CASE("inspector: a write before the begin of an allocation") {
  auto y = zeros<float>("y", 100);
  CHECK_CONTAINS(
      message_of([&] { wrong::write_before_begin(y.data); }),
      "expected a write of 4 bytes inside of device or shared memory, got 4 bytes before the begin "
      "of 'y' (400 bytes)");
}

TEST_CASE("inspector: an access that begins inside of an allocation and ends outside") {
  const auto x = zeros<float>("x", 3);
  auto y = zeros<float>("y", 1);
  CHECK_CONTAINS(
      message_of([&] { wrong::straddle_end(x.data + 2, y.data); }),
      "expected a read of 8 bytes inside of device or shared memory, got 0 bytes past the end of 'x' "
      "(12 bytes)");
}

TEST_CASE("inspector: freed memory, host memory, null") {
  auto y = zeros<float>("y", 1);
  float* freed = nullptr;
  {
    auto x = zeros<float>("x", 4);
    freed = x.data + 1;
  }
  CHECK_CONTAINS(message_of([&] { wrong::read_pointer(freed, y.data); }),
                 "got byte 4 of 'x', which was freed");
  std::vector<float> host(4);
  CHECK_CONTAINS(message_of([&] { wrong::read_pointer(host.data(), y.data); }), "a pointer of the host?");
  const float on_stack = 1;
  CHECK_CONTAINS(message_of([&] { wrong::read_pointer(&on_stack, y.data); }), "a pointer of the host?");
  CHECK_CONTAINS(message_of([&] { wrong::read_pointer(nullptr, y.data); }), "got a null pointer");
  static float in_program = 0;
  CHECK_CONTAINS(message_of([&] { wrong::write_pointer(&in_program); }),
                 "got a variable of the host's program");
}

TEST_CASE("inspector: past the end of static shared memory") {
  auto y = zeros<float>("y", 32);
  // Where the linker leaves a gap, which it must somewhere: the variable is aligned to 64 bytes and has 20.
  bool found = false;
  for (int i = -11; i < 16 && !found; ++i) {
    const std::string text = message_of([&] { wrong::static_shared_past_end(y.data, i); });
    found = text.find("expected a read of 4 bytes inside of device or shared memory") != std::string::npos &&
            text.find(" bytes past the end of __shared__ ") != std::string::npos;
  }
  CHECK(found);
  CHECK(message_of([&] { wrong::static_shared_past_end(y.data, 4); }) == "no error");
}

TEST_CASE("inspector: an index past the end of an array that lies in the next variable") {
  auto y = zeros<float>("y", 32);
  const std::string text = message_of([&] { wrong::static_array_index(y.data, 33); });
  CHECK_CONTAINS(text, place_of("memory_kernels.cu", "static_index"));
  CHECK_CONTAINS(text, "expected an index inside of 'float");  // 'float [32]', as each compiler writes it
  CHECK_CONTAINS(text, "[32]', got index 33");
  CHECK_CONTAINS(message_of([&] { wrong::static_array_index(y.data, -1); }), "got index -1");
  CHECK(message_of([&] { wrong::static_array_index(y.data, 31); }) == "no error");
}

TEST_CASE("inspector: past the end of dynamic shared memory") {
  auto y = zeros<float>("y", 32);
  CHECK_CONTAINS(message_of([&] { wrong::dynamic_shared_past_end(y.data, 34); }),
                 "got 8 bytes past the end of the dynamic shared memory (128 bytes)");
  CHECK(message_of([&] { wrong::dynamic_shared_past_end(y.data, 31); }) == "no error");
}

TEST_CASE("inspector: shared memory that nobody wrote") {
  auto y = zeros<float>("y", 32);
  const std::string text = message_of([&] { wrong::unwritten_shared(y.data, 31); });
  CHECK_CONTAINS(text, "thread (31, 0, 0), " + place_of("memory_kernels.cu", "unwritten"));
  CHECK_CONTAINS(text,
                 "expected shared memory that a thread of the block has written before, got a read of 4 "
                 "bytes that nobody wrote: part[3][7]");
  CHECK(message_of([&] { wrong::unwritten_shared(y.data, 32); }) == "no error");
  // What the block before has left there is nobody's.
  CHECK(message_of([&] {
          wrong::unwritten_shared(y.data, 32);
          wrong::unwritten_shared(y.data, 31);
        }) != "no error");
  CHECK_CONTAINS(message_of([&] { wrong::unwritten_shared(y.data, 32, 2); }),
                 "block (1, 0, 0), thread (31, 0, 0), " + place_of("memory_kernels.cu", "unwritten"));

  auto z = zeros<int>("z", 1);
  CHECK_CONTAINS(message_of([&] { wrong::unwritten_byte(z.data); }),
                 "nobody wrote: byte 3 of the dynamic shared memory (4 bytes)");

  auto w = zeros<uint32_t>("w", 32);
  const std::string of_matrix = message_of([&] { wrong::unwritten_matrix(w.data, 7); });
  CHECK_CONTAINS(of_matrix, place_of("memory_kernels.cu", "matrix"));
  CHECK_CONTAINS(of_matrix, "a read of 16 bytes that nobody wrote: tile[7][0]");
  CHECK(message_of([&] { wrong::unwritten_matrix(w.data, 8); }) == "no error");
}

TEST_CASE("inspector: a local variable of another thread") {
  auto y = zeros<float>("y", 1);
  CHECK_CONTAINS(message_of([&] { wrong::another_stack(y.data); }), "got a local variable of another thread");
}

TEST_CASE("inspector: misaligned vectors") {
  const auto x = zeros<float>("x", 16);
  auto y = zeros<float>("y", 1);
  const std::string text = message_of([&] { wrong::misaligned_vector(x.data, y.data); });
  CHECK_CONTAINS(text, place_of("memory_kernels.cu", "vector2"));
  CHECK_CONTAINS(text,
                 "float2' at a multiple of 8 bytes, got a misaligned address: byte 4 of 'x' (64 bytes)");
  CHECK(message_of([&] { wrong::misaligned_vector(x.data + 1, y.data); }) == "no error");

  const std::string of_load16 = message_of([&] { wrong::misaligned_load16(x.data, y.data); });
  CHECK_CONTAINS(of_load16, place_of("memory_kernels.cu", "vector4"));
  CHECK_CONTAINS(of_load16,
                 "expected a read of 16 bytes at a multiple of 16, got a misaligned address: byte 4 of 'x'");
}

TEST_CASE("inspector: constants and local arrays are allowed") {
  auto y = zeros<float>("y", 64);
  CHECK(message_of([&] { wrong::read_constant(y.data, 2); }) == "no error");
  CHECK(message_of([&] { wrong::local_arrays(y.data); }) == "no error");
}

TEST_CASE("inspector: works on after a kernel that failed") {
  auto y = zeros<float>("y", 100);
  const Report report = inspect([&] {
    CHECK_THROWS_AS(wrong::write_before_begin(y.data), KernelError);
    wrong::local_arrays(y.data);
  });
  REQUIRE(report.kernels.size() == 2);
  CHECK(report.kernels[1].name == "local");
  CHECK(report.clean());
}

}  // namespace dsllm::cuda
