// The report as text, as JSON and as a listing; the roofline and the occupancy in it.
#include "cuda/simt/inspector/print.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cuda/simt/inspector/occupancy.hpp"
#include "cuda/simt/inspector/roofline.hpp"
#include "ref/core/error.hpp"
#include "tests/inspector/kernels.hpp"
#include "tests/inspector/support.hpp"
#include "tests/temporary_folder.hpp"

namespace dsllm::cuda {
namespace {

using simt::find_limits;
using simt::inspector::CompiledKernel;
using simt::inspector::find_compiled;
using simt::inspector::Occupancy;
using simt::inspector::occupancy;
using simt::inspector::parse_nvcc_report;
using simt::inspector::PrintOptions;
using simt::inspector::Roofline;
using simt::inspector::roofline;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Report transpose(int n) {
  const auto x = zeros<float>("x", n * n);
  auto y = zeros<float>("y", n * n);
  return inspect([&] { wrong::transpose_tile32(x.data, y.data, n); });
}

// What nvcc prints of two kernels, here of tiled<32> for two architectures.
const char* const nvcc_output =
    "ptxas info    : 0 bytes gmem\n"
    "ptxas info    : Compiling entry function "
    "'_ZN5dsllm4cuda5wrong36_GLOBAL__N__e2010b10_4_n_cu_1c6810cb5tiledILi32EEEvPKfPfi' for 'sm_80'\n"
    "ptxas info    : Function properties for _ZN5dsllm4cuda5wrong5tiledILi32EEEvPKfPfi\n"
    "    0 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads\n"
    "ptxas info    : Used 30 registers, used 1 barriers, 4096 bytes smem, 376 bytes cmem[0]\n"
    "ptxas info    : Compiling entry function "
    "'_ZN5dsllm4cuda5wrong36_GLOBAL__N__e2010b10_4_n_cu_1c6810cb5tiledILi32EEEvPKfPfi' for 'sm_90'\n"
    "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
    "ptxas info    : Used 40 registers, used 1 barriers, 4096 bytes smem\n"
    "ptxas info    : Compiling entry function '_Z4rowsI13__nv_bfloat16EvPT_' for 'sm_90'\n"
    "ptxas info    : Used 168 registers\n";

}  // namespace

TEST_CASE("inspector: the report as text") {
  const std::string text = simt::inspector::text(transpose(64));
  CHECK(contains(text, "kernel tiled<32>: 1 launch, 4 blocks of (32, 32, 1) threads\n"));
  CHECK(contains(text,
                 "requested 32.0 KiB, moved 32.0 KiB, least possible 32.0 KiB (read 16.0 KiB, written 16.0 "
                 "KiB): 1.00 times\n"));
  CHECK(contains(text, "h100-sxm       at least 9.78 ns (memory-bound, 3350 GB/s); FLOPs not given\n"));
  CHECK(contains(text,
                 "1024 threads and 4096 B of shared memory a block, registers: unknown (no nvcc report): 2 "
                 "blocks an SM, 100% of its warps, limited by threads\n"));
  CHECK(contains(text,
                 "    " + place_of("traffic_kernels.cu", "tiled, read") +
                     "        shared   read  4 B        128      32 of 1     wavefronts   16.0 KiB  32 times "
                     "the ideal\n"));
  CHECK(contains(text, "  no races\n"));
  CHECK(contains(text, "not measured"));

  PrintOptions options;
  options.gpu = "a100-sxm";
  options.flops["tiled<32>"] = 1e9;
  const std::string with_flops = simt::inspector::text(transpose(64), options);
  CHECK(contains(with_flops, "0 FLOP by tensor cores, 1000.0 MFLOP others\n"));
  CHECK(contains(with_flops,
                 "a100-sxm       at least 51.3 us (compute-bound, 16.1 ns otherwise); 3.05e+04 FLOP/byte, "
                 "the ridge is at 9.56\n"));

  auto y = zeros<float>("y", 64);
  CHECK(contains(simt::inspector::text(inspect([&] { wrong::reverse(y.data, false); })),
                 "  race on tile[31]: "));
  CHECK(simt::inspector::text(Report{}) == "no kernel was launched\n");
  options.gpu = "h100";
  CHECK_THROWS_WITH_AS(simt::inspector::text(Report{}, options), doctest::Contains("one of v100-sxm, "),
                       ValueError);
}

TEST_CASE("inspector: the report as JSON") {
  auto y = zeros<float>("y", 64);
  const Report report = inspect([&] { wrong::reverse(y.data, false); });
  const auto json = nlohmann::json::parse(simt::inspector::json(report));
  CHECK(json["gpu"] == "h100-sxm");
  CHECK(json["clean"] == false);
  REQUIRE(json["kernels"].size() == 1);
  const auto& kernel = json["kernels"][0];
  CHECK(kernel["name"] == "reverse_block");
  CHECK(kernel["bytes_written_least"] == 256);
  CHECK(kernel["registers"].is_null());
  REQUIRE(kernel["lines"].size() == 3);
  CHECK(kernel["lines"][0]["space"] == "shared");
  CHECK(kernel["lines"][0]["wavefronts"] == 2);
  CHECK(kernel["lines"][1]["sectors"] == 8);
  REQUIRE(kernel["races"].size() == 1);
  CHECK(kernel["races"][0]["where"] == "tile[31]");
  CHECK(kernel["races"][0]["earlier"]["thread"] == nlohmann::json({31, 0, 0}));
  CHECK(kernel["races"][0]["later"]["line"] == line_of("race_kernels.cu", "reverse, read"));
  CHECK(kernel["roofline"]["bound"] == "memory");
}

TEST_CASE("inspector: the source with numbers in its margin") {
  const std::string text = simt::inspector::listing(transpose(64));
  CHECK(contains(text, "tests/inspector/traffic_kernels.cu\n"));
  const int line = line_of("traffic_kernels.cu", "tiled, read");
  CHECK(contains(text, "      128                32/1       16384 |  " + std::to_string(line) +
                           "    const float v = tile[threadIdx.x][threadIdx.y];"));
  CHECK(contains(text, "                                          |   1  #include"));

  auto y = zeros<float>("y", 64);
  CHECK(contains(simt::inspector::listing(inspect([&] { wrong::reverse(y.data, false); })),
                 "!      race on tile[31]: "));

  Report moved = transpose(64);
  for (LineReport& l : moved.kernels[0].lines) l.line.file = "/nowhere/x.cu";
  CHECK(contains(simt::inspector::listing(moved), "/nowhere/x.cu\n"));
  CHECK(contains(simt::inspector::listing(moved), "(the source is not where it was compiled)"));
}

TEST_CASE("inspector: the roofline") {
  const Gpu& h100 = find_gpu("h100-sxm");
  const Roofline copy = roofline(3350, 0, 0, h100);
  CHECK(copy.floor_s() == doctest::Approx(1e-9));
  CHECK(copy.memory_bound);
  const Roofline product = roofline(1'000'000, 989.5e9, 0, h100);
  CHECK(product.floor_s() == doctest::Approx(1e-3));
  CHECK_FALSE(product.memory_bound);
  CHECK(product.ridge == doctest::Approx(989.5e12 / 3.35e12));
  CHECK(product.intensity == doctest::Approx(989.5e3));
  // A tensor core's FLOPs and others' take turns.
  CHECK(roofline(0, 989.5e9, 66.9e9, h100).floor_s() == doctest::Approx(2e-3));
}

TEST_CASE("inspector: occupancy") {
  const simt::Limits& h100 = find_limits("h100-sxm");
  const auto check = [](const Occupancy& o, int64_t blocks, int64_t warps, const std::string& by) {
    CHECK(o.blocks == blocks);
    CHECK(o.warps == warps);
    CHECK(o.limited_by == by);
  };
  check(occupancy(h100, 256, 0, std::nullopt), 8, 64, "threads");
  check(occupancy(h100, 256, 0, 32), 8, 64, "threads");
  check(occupancy(h100, 256, 0, 33), 6, 48, "registers");  // 40 a thread, in units of 256 a warp
  check(occupancy(h100, 256, 0, 128), 2, 16, "registers");
  check(occupancy(h100, 128, 0, 255), 2, 8, "registers");
  check(occupancy(h100, 32, 0, 32), 32, 32, "blocks");
  check(occupancy(h100, 128, 100 * 1024, 32), 2, 8, "shared memory");
  check(occupancy(h100, 128, 227 * 1024, 32), 1, 4, "shared memory");
  check(occupancy(h100, 128, 113 * 1024 + 128, 32), 1, 4,
        "shared memory");  // with the system's, more than half
  check(occupancy(find_limits("rtx3090"), 256, 0, std::nullopt), 6, 48, "threads");
  check(occupancy(find_limits("v100-sxm"), 128, 48 * 1024, 32), 2, 8,
        "shared memory");  // nothing for the system
}

TEST_CASE("inspector: registers from nvcc's report") {
  const std::vector<CompiledKernel> kernels = parse_nvcc_report(nvcc_output);
  REQUIRE(kernels.size() == 3);
  CHECK(kernels[0].name == "tiled<32>");
  CHECK(kernels[0].spill_bytes == 20);
  CHECK(kernels[1].static_shared_bytes == 4096);
  CHECK(kernels[2].name == "rows<bf16>");
  REQUIRE(find_compiled(kernels, "tiled<32>", 90) != nullptr);
  CHECK(find_compiled(kernels, "tiled<32>", 90)->registers == 40);
  CHECK(find_compiled(kernels, "tiled<32>", 86)->registers == 30);
  CHECK(find_compiled(kernels, "tiled<32>", 70) == nullptr);
  CHECK(find_compiled(kernels, "tiled<33>", 90) == nullptr);

  const TemporaryFolder folder;
  PrintOptions options;
  options.nvcc_report = folder / "nvcc.log";
  std::ofstream(options.nvcc_report) << nvcc_output;
  const std::string text = simt::inspector::text(transpose(64), options);
  CHECK(contains(
      text,
      "1024 threads and 4096 B of shared memory a block, 40 registers a thread: 1 block an SM, 50% of "
      "its warps, limited by registers\n"));
  options.gpu = "a100-sxm";
  CHECK(contains(simt::inspector::text(transpose(64), options),
                 "30 registers a thread and 20 B spilled: 2 blocks"));
  options.nvcc_report = folder / "nothing.log";
  CHECK_THROWS_AS(simt::inspector::text(transpose(64), options), FileError);
}

}  // namespace dsllm::cuda
