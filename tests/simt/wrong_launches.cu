// Launches that no GPU, or not the chosen one, could do: refused when they are made, with a message that names the launch.
#include "cuda/simt/limits.hpp"
#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

__global__ void nothing() {}

// Of the launch itself: nothing was put into the stream.
std::string refused(const LaunchShape& shape) {
  Stream stream;
  const std::string message = message_of<KernelError>([&] { launch(stream, shape, nothing); });
  stream.synchronize();
  return message;
}

struct RestoreLimits {
  ~RestoreLimits() { simt::set_limits("h100-sxm"); }
};

}  // namespace

TEST_CASE("a grid or a block of nothing") {
  CHECK(refused({0, 32}) ==
        "launch <<<(0, 1, 1), (32, 1, 1), 0>>> of nothing: expected at least one block, got (0, 1, 1)");
  CHECK(refused({{1, 1, 0}, 32}) ==
        "launch <<<(1, 1, 0), (32, 1, 1), 0>>> of nothing: expected at least one block, got (1, 1, 0)");
  CHECK(refused({1, {32, 0, 1}}) ==
        "launch <<<(1, 1, 1), (32, 0, 1), 0>>> of nothing: expected at least one thread a block, got (32, 0, "
        "1)");
}

TEST_CASE("too many threads or blocks") {
  const std::string most =
      "expected at most 1024 threads a block on an h100-sxm, (1024, 1024, 64) by dimension, got ";
  CHECK(refused({1, 1025}) == "launch <<<(1, 1, 1), (1025, 1, 1), 0>>> of nothing: " + most + "(1025, 1, 1)");
  CHECK(refused({1, {32, 33}}) ==
        "launch <<<(1, 1, 1), (32, 33, 1), 0>>> of nothing: " + most + "(32, 33, 1)");
  CHECK(refused({1, {1, 1, 65}}) ==
        "launch <<<(1, 1, 1), (1, 1, 65), 0>>> of nothing: " + most + "(1, 1, 65)");
  CHECK(
      refused({1, {4'000'000'000u, 4'000'000'000u, 4'000'000'000u}}).find("expected at most 1024 threads") !=
      std::string::npos);
  CHECK(refused({{1, 65536, 1}, 1}) ==
        "launch <<<(1, 65536, 1), (1, 1, 1), 0>>> of nothing: expected at most (2147483647, 65535, 65535) "
        "blocks, got (1, "
        "65536, 1)");
  CHECK(refused({{2147483648u, 1, 1}, 1}).find("got (2147483648, 1, 1)") != std::string::npos);
  CHECK(refused({1, 1024}) == "no error");
  CHECK(refused({1, {1, 1, 64}}) == "no error");
  check_still_works();
}

TEST_CASE("the shared memory of a chosen GPU") {
  const RestoreLimits restore;
  struct Case {
    const char* gpu;
    int64_t bytes;
  };
  // CUDA C++ Programming Guide, "Technical Specifications per Compute Capability": the most a block can have.
  for (const Case& c : {Case{"v100-sxm", 98304}, Case{"a100-sxm", 166912}, Case{"rtx3090", 101376},
                        Case{"rtx4090", 101376}, Case{"h100-sxm", 232448}, Case{"b200-sxm", 232448}}) {
    simt::set_limits(c.gpu);
    CHECK(simt::limits().gpu == c.gpu);
    CHECK(refused({1, 32, c.bytes}) == "no error");
    CHECK(refused({1, 32, c.bytes + 1}) ==
          fmt::format("launch <<<(1, 1, 1), (32, 1, 1), {0}>>> of nothing: expected at most {1} bytes of "
                      "shared memory a block "
                      "on {2} {3}, got {0} bytes",
                      c.bytes + 1, c.bytes,
                      std::string("ahr").find(c.gpu[0]) != std::string::npos ? "an" : "a", c.gpu));
  }
  CHECK(refused({1, 32, -1}).find("got -1 bytes") != std::string::npos);
  CHECK(message_of<ValueError>([] { simt::set_limits("voodoo2"); }) ==
        "GPU: expected one of v100-sxm, a100-pcie-40gb, a100-sxm-40gb, a100-sxm, a100-pcie, rtx3090, "
        "rtx4090, h100-pcie, "
        "h100-sxm, h800-sxm, h200-sxm, b200-sxm, b300-sxm, gb200, got voodoo2");
  check_still_works();
}
