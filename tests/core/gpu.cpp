#include "ref/core/gpu.hpp"

#include <doctest/doctest.h>

#include <set>

#include "ref/core/error.hpp"

using namespace dsllm;

TEST_CASE("gpu: the table holds together") {
  std::set<std::string> names;
  for (const Gpu& g : all_gpus()) {
    CAPTURE(g.name);
    CHECK(names.insert(g.name).second);
    CHECK(g.compute_capability >= 70);
    CHECK(g.bf16_tflops > 0);
    CHECK(g.hbm_bytes >= 23e9);
    CHECK(g.hbm_bytes <= 288e9);
    CHECK(g.hbm_bytes_per_s >= 900e9);
    CHECK(g.measured_bf16_tflops < g.bf16_tflops);
    CHECK((g.fp8_tflops == 0 || g.fp8_tflops > g.bf16_tflops));
    CHECK(g.scale_up_gpus >= 1);
    CHECK((g.nvlink_generation == 0) == (g.nvlink_bytes_per_s == 0));
  }
}

TEST_CASE("gpu: by name") {
  CHECK(find_gpu("h100-sxm").hbm_bytes_per_s == 3.35e12);
  CHECK(find_gpu("h100-sxm").bf16_flops_per_s() == 989.5e12);
  CHECK(find_gpu("h800-sxm").nvlink_bytes_per_s == 200e9);
  CHECK_THROWS_WITH_AS(find_gpu("h100"), doctest::Contains("h100-pcie, h100-sxm"), ValueError);
}
