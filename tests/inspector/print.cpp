// The report as text, as JSON and as a listing.
#include "cuda/simt/inspector/print.hpp"

#include <nlohmann/json.hpp>

#include "tests/inspector/kernels.hpp"
#include "tests/inspector/support.hpp"
TEST_CASE("x") {
  using namespace dsllm::cuda;
    const auto x = zeros<float>("x", 128*128);
  auto y = zeros<float>("y", 128*128);
  const Report report = inspect([&] { wrong::transpose_naive(x.data, y.data, 128); wrong::transpose_tile32(x.data, y.data, 128); wrong::transpose_tile33(x.data, y.data, 128); wrong::reverse(y.data, false); wrong::mma_once(y.data); wrong::last_block_adds(x.data, y.data, (unsigned*)x.data, 8, false);  });
  puts(simt::inspector::text(report).c_str());
  puts(simt::inspector::listing(report).c_str());
  puts(simt::inspector::json(report).substr(0,3000).c_str());
}
