// What accesses cost: counted exactly.
#include "cuda/simt/inspector/traffic.hpp"

#include "tests/inspector/kernels.hpp"
#include "tests/inspector/support.hpp"

namespace dsllm::cuda {
namespace {

using simt::inspector::Counts;
using simt::inspector::Request;

// The accesses of one kind and space in a marked line; all lines without a mark.
LineReport only_line(const KernelReport& kernel, Kind kind, bool shared, const std::string& mark = "") {
  const int line = mark.empty() ? 0 : line_of("traffic_kernels.cu", mark);
  LineReport found;
  int n = 0;
  for (const LineReport& l : kernel.lines)
    if (l.kind == kind && l.shared == shared && (line == 0 || l.line.line == line)) {
      found = l;
      ++n;
    }
  REQUIRE(n == 1);
  return found;
}

void check_counts(const Counts& c, int64_t requests, int64_t accesses, int64_t bytes, int64_t units,
                  int64_t ideal_units) {
  CHECK(c.requests == requests);
  CHECK(c.accesses == accesses);
  CHECK(c.bytes == bytes);
  CHECK(c.units == units);
  CHECK(c.ideal_units == ideal_units);
}

Request request(uint32_t lanes, uint64_t first, uint64_t stride) {
  Request r;
  r.lanes = lanes;
  for (uint64_t lane = 0; lane < 32; ++lane) r.address[lane] = first + stride * lane;
  return r;
}
Counts sectors(const Request& r, int bytes) {
  Counts c;
  simt::inspector::count_sectors(r, bytes, c);
  return c;
}
Counts wavefronts(const Request& r, int bytes, bool atomic = false) {
  Counts c;
  simt::inspector::count_wavefronts(r, bytes, atomic, c);
  return c;
}

constexpr uint32_t all = 0xffffffffu;

}  // namespace

TEST_CASE("inspector: sectors of a request") {
  check_counts(sectors(request(all, 1024, 4), 4), 1, 32, 128, 4, 4);      // side by side
  check_counts(sectors(request(all, 1028, 4), 4), 1, 32, 128, 5, 4);      // shifted by one element
  check_counts(sectors(request(all, 1024, 0), 4), 1, 32, 128, 1, 1);      // all the same
  check_counts(sectors(request(all, 1024, 8), 4), 1, 32, 128, 8, 4);      // every second
  check_counts(sectors(request(all, 1024, 4096), 4), 1, 32, 128, 32, 4);  // a column
  check_counts(sectors(request(all, 1024, 16), 16), 1, 32, 512, 16, 16);
  check_counts(sectors(request(all, 1024, 2), 2), 1, 32, 64, 2, 2);
  check_counts(sectors(request(0x1u, 1024, 4), 4), 1, 1, 4, 1, 1);
  check_counts(sectors(request(0x80000001u, 0, 4), 4), 1, 2, 8, 2, 1);
  check_counts(sectors(request(0x3u, 24, 16), 16), 1, 2, 32, 2, 1);  // the first crosses a border of sectors
}

TEST_CASE("inspector: wavefronts of a request") {
  check_counts(wavefronts(request(all, 0, 4), 4), 1, 32, 128, 1, 1);
  check_counts(wavefronts(request(all, 0, 128), 4), 1, 32, 128, 32, 1);  // one bank
  check_counts(wavefronts(request(all, 0, 132), 4), 1, 32, 128, 1, 1);   // padded
  check_counts(wavefronts(request(all, 0, 8), 4), 1, 32, 128, 2, 1);
  check_counts(wavefronts(request(all, 64, 0), 4), 1, 32, 128, 1, 1);         // a broadcast
  check_counts(wavefronts(request(all, 64, 0), 4, true), 1, 32, 128, 32, 1);  // atomics wait for each other
  check_counts(wavefronts(request(all, 0, 2), 2), 1, 32, 64, 1, 1);           // two lanes in a word
  check_counts(wavefronts(request(all, 0, 8), 8), 1, 32, 256, 2, 2);          // two halves
  check_counts(wavefronts(request(all, 0, 16), 8), 1, 32, 256, 4, 2);
  check_counts(wavefronts(request(all, 0, 16), 16), 1, 32, 512, 4, 4);  // four quarters
  check_counts(wavefronts(request(all, 0, 128), 16), 1, 32, 512, 32, 4);
  check_counts(wavefronts(request(0xffu, 0, 144), 16), 1, 8, 128, 1, 1);
}

TEST_CASE("inspector: a copy moves its bytes once") {
  const int64_t n = 4 * 96;
  const auto x = zeros<float>("x", n);
  auto y = zeros<float>("y", n);
  const Report report = inspect([&] { wrong::copy(x.data, y.data, 4, 96); });
  REQUIRE(report.kernels.size() == 1);
  const KernelReport& k = report.kernels[0];
  CHECK(k.name == "copy_each");
  CHECK(k.launches == 1);
  CHECK(k.blocks == 4);
  CHECK(k.threads == n);
  check_counts(only_line(k, Kind::read, false, "copy_each, read").counts, 12, n, 4 * n, 48, 48);
  check_counts(only_line(k, Kind::write, false, "copy_each, write").counts, 12, n, 4 * n, 48, 48);
  CHECK(k.bytes_requested == 8 * n);
  CHECK(k.bytes_moved == 8 * n);
  CHECK(k.bytes_read_least == 4 * n);
  CHECK(k.bytes_written_least == 4 * n);
  CHECK(k.races.empty());
}

TEST_CASE("inspector: 16 bytes a lane are one request") {
  const auto x = zeros<float>("x", 2 * 64 * 4);
  auto y = zeros<float>("y", 2 * 64 * 4);
  const Report report = inspect([&] { wrong::copy16(x.data, y.data, 2, 64); });
  const KernelReport& k = report.kernels[0];
  check_counts(only_line(k, Kind::read, false).counts, 4, 128, 2048, 64, 64);
  check_counts(only_line(k, Kind::write, false).counts, 4, 128, 2048, 64, 64);
  CHECK(only_line(k, Kind::write, false).bytes == 16);
  CHECK(k.bytes_least() == 4096);
}

TEST_CASE("inspector: a strided copy, counted exactly") {
  for (const int stride : {1, 2, 3, 5, 8, 9, 31}) {
    const auto x = zeros<float>("x", 3 * 32 * stride);
    auto y = zeros<float>("y", 3 * 32);
    const Report report = inspect([&] { wrong::strided_copy(x.data, y.data, 3, stride); });
    const KernelReport& k = report.kernels[0];
    // Allocations are aligned to 256 bytes: an element begins in sector 4 i stride / 32.
    int64_t expected = 0;
    for (int64_t block = 0; block < 3; ++block) {
      int64_t last = -1;
      for (int64_t lane = 0; lane < 32; ++lane) {
        const int64_t sector = 4 * (32 * block + lane) * stride / 32;
        expected += sector != last;
        last = sector;
      }
    }
    check_counts(only_line(k, Kind::read, false).counts, 3, 96, 384, expected, 12);
    check_counts(only_line(k, Kind::write, false).counts, 3, 96, 384, 12, 12);
    CHECK(k.bytes_moved == 32 * (expected + 12));
    CHECK(k.bytes_requested == 768);
    CHECK(k.bytes_least() == 768);
  }
}

TEST_CASE("inspector: a shifted row, a broadcast") {
  const auto x = zeros<float>("x", 40);
  auto y = zeros<float>("y", 32);
  const Report shifted = inspect([&] { wrong::offset_copy(x.data, y.data, 3); });
  check_counts(only_line(shifted.kernels[0], Kind::read, false).counts, 1, 32, 128, 5, 4);
  const Report same = inspect([&] { wrong::broadcast(x.data, y.data); });
  check_counts(only_line(same.kernels[0], Kind::read, false).counts, 1, 32, 128, 1, 1);
  CHECK(same.kernels[0].bytes_read_least == 4);
}

TEST_CASE("inspector: transposing with and without a tile") {
  constexpr int n = 128;
  constexpr int64_t requests = n * n / 32;
  const auto x = zeros<float>("x", n * n);
  auto y = zeros<float>("y", n * n);
  for (const char* order : {"forward", "backward", "random:3"}) {
    simt::set_order(order);
    // A row in, a column out: 32 sectors where 4 would do.
    const Report naive = inspect([&] { wrong::transpose_naive(x.data, y.data, n); });
    const KernelReport& k = naive.kernels[0];
    check_counts(only_line(k, Kind::read, false, "naive, read").counts, requests, n * n, 4 * n * n,
                 4 * requests, 4 * requests);
    check_counts(only_line(k, Kind::write, false, "naive, write").counts, requests, n * n, 4 * n * n,
                 32 * requests, 4 * requests);
    CHECK(k.bytes_least() == 8 * n * n);
    CHECK(k.bytes_moved == 32 * 36 * requests);

    const Report tile32 = inspect([&] { wrong::transpose_tile32(x.data, y.data, n); });
    check_counts(only_line(tile32.kernels[0], Kind::read, true, "tiled, read").counts, requests, n * n,
                 4 * n * n, 32 * requests, requests);
    check_counts(only_line(tile32.kernels[0], Kind::write, true).counts, requests, n * n, 4 * n * n, requests,
                 requests);
    CHECK(only_line(tile32.kernels[0], Kind::write, false).counts.units == 4 * requests);
    CHECK(tile32.kernels[0].static_shared_bytes == 32 * 32 * 4);

    const Report tile33 = inspect([&] { wrong::transpose_tile33(x.data, y.data, n); });
    check_counts(only_line(tile33.kernels[0], Kind::read, true, "tiled, read").counts, requests, n * n,
                 4 * n * n, requests, requests);
    check_counts(only_line(tile33.kernels[0], Kind::write, true).counts, requests, n * n, 4 * n * n, requests,
                 requests);
    CHECK(tile33.clean());
    CHECK(tile33.kernels[0].static_shared_bytes == 32 * 33 * 4);
  }
  simt::set_order("forward");
}

TEST_CASE("inspector: bank conflicts of 8 and 16 bytes") {
  auto y = zeros<float>("y", 32);
  const auto of = [](const Report& r, const char* mark) {
    return only_line(r.kernels[0], Kind::write, true, mark).counts;
  };
  check_counts(of(inspect([&] { wrong::shared8(y.data, 1); }), "vectors8"), 1, 32, 256, 2, 2);
  check_counts(of(inspect([&] { wrong::shared8(y.data, 2); }), "vectors8"), 1, 32, 256, 4, 2);
  check_counts(of(inspect([&] { wrong::shared16(y.data, 1); }), "vectors16"), 1, 32, 512, 4, 4);
  check_counts(of(inspect([&] { wrong::shared16(y.data, 8); }), "vectors16"), 1, 32, 512, 32, 4);
  check_counts(of(inspect([&] { wrong::shared16(y.data, 9); }), "vectors16"), 1, 32, 512, 4, 4);
}

TEST_CASE("inspector: ldmatrix reads eight rows at a time") {
  auto y = zeros<uint32_t>("y", 32);
  const auto of = [](const Report& r) {
    return only_line(r.kernels[0], Kind::read, true, "matrices").counts;
  };
  check_counts(of(inspect([&] { wrong::ldmatrix_rows(y.data, 128); })), 1, 32, 512, 32, 4);
  check_counts(of(inspect([&] { wrong::ldmatrix_rows(y.data, 144); })), 1, 32, 512, 4, 4);
}

TEST_CASE("inspector: lanes that go through a loop more or less often") {
  const auto x = zeros<float>("x", 32 * 32);
  auto y = zeros<float>("y", 32);
  for (const char* order : {"forward", "backward", "random:3"}) {
    simt::set_order(order);
    // Round i: lanes i to 31 read from a row of 32.
    const Report report = inspect([&] { wrong::divergent_loop(x.data, y.data); });
    int64_t expected = 0, accesses = 0;
    for (int i = 0; i < 32; ++i) {
      expected += 4 - i / 8;
      accesses += 32 - i;
    }
    check_counts(only_line(report.kernels[0], Kind::read, false, "divergent").counts, 32, accesses,
                 4 * accesses, expected, expected);
  }
  simt::set_order("forward");
}

TEST_CASE("inspector: what lanes do before and after they meet is not one request") {
  const auto x = zeros<float>("x", 64);
  auto y = zeros<float>("y", 32);
  for (const int how : {0, 1}) {
    const Report report = inspect([&] { wrong::meet(x.data, y.data, how); });
    check_counts(only_line(report.kernels[0], Kind::read, false, "read_twice").counts, 2, 36, 144, 5, 5);
  }
}

TEST_CASE("inspector: what is read and written counts twice, launches each for themselves") {
  auto y = zeros<float>("y", 2 * 64);
  const Report report = inspect([&] {
    wrong::add_in_place(y.data, 2);
    wrong::add_in_place(y.data, 2);
  });
  REQUIRE(report.kernels.size() == 1);
  const KernelReport& k = report.kernels[0];
  CHECK(k.launches == 2);
  CHECK(k.bytes_read_least == 2 * 512);
  CHECK(k.bytes_written_least == 2 * 512);
  CHECK(k.bytes_moved == 2 * 1024);
}

TEST_CASE("inspector: products of tensor cores") {
  auto y = zeros<float>("y", 32);
  CHECK(inspect([&] { wrong::mma_once(y.data); }).kernels[0].mma_flops == 2 * 16 * 8 * 16);
}

}  // namespace dsllm::cuda
