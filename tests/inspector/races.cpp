// Races: found where they are, with both threads and both lines; and silence where there are none.
#include "tests/inspector/kernels.hpp"
#include "tests/inspector/support.hpp"

namespace dsllm::cuda {
namespace {

const RaceReport& only_race(const Report& report) {
  REQUIRE(report.kernels.size() == 1);
  if (report.kernels[0].races.size() != 1)
    for (const RaceReport& race : report.kernels[0].races) MESSAGE(race.text());
  REQUIRE(report.kernels[0].races.size() == 1);
  return report.kernels[0].races[0];
}

void check_lines(const RaceReport& race, const std::string& earlier, const std::string& later) {
  CHECK(race.earlier.line.line == line_of("race_kernels.cu", earlier));
  CHECK(race.later.line.line == line_of("race_kernels.cu", later));
}

}  // namespace

TEST_CASE("inspector: a __syncthreads that was deleted") {
  auto y = zeros<float>("y", 64);
  const Report report = inspect([&] { wrong::reverse(y.data, false); });
  const RaceReport& race = only_race(report);
  CHECK(race.text() == "race on tile[31]: thread (31, 0, 0) of block (0, 0, 0) writes it at " +
                           place_of("race_kernels.cu", "reverse, write") +
                           "; thread (32, 0, 0) of block (0, 0, 0) reads it at " +
                           place_of("race_kernels.cu", "reverse, read") +
                           ": no __syncthreads() between them (32 times)");
  CHECK_FALSE(report.clean());
  CHECK(inspect([&] { wrong::reverse(y.data, true); }).clean());
}

TEST_CASE("inspector: a missing __syncwarp, for which a shuffle is no substitute") {
  auto y = zeros<float>("y", 32);
  for (const int sync : {0, 1}) {
    const Report report = inspect([&] { wrong::shift_in_warp(y.data, sync); });
    const RaceReport& race = only_race(report);
    check_lines(race, "shift, write", "shift, read");
    CHECK(race.missing == "the same warp, and no __syncwarp() or __syncthreads() between them");
    CHECK(race.count == 31);
  }
  CHECK(inspect([&] { wrong::shift_in_warp(y.data, 2); }).clean());
}

TEST_CASE("inspector: __syncwarp orders the lanes of its mask alone") {
  auto y = zeros<float>("y", 32);
  CHECK(inspect([&] { wrong::halves_of_a_warp(y.data); }).clean());
  const Report report = inspect([&] { wrong::wrong_half(y.data); });
  const RaceReport& race = only_race(report);
  CHECK(race.later.line.line == line_of("race_kernels.cu", "halves, read"));
  CHECK(race.count == 16);
}

TEST_CASE("inspector: threads and blocks that write the same element") {
  auto y = zeros<float>("y", 4);
  const Report within = inspect([&] { wrong::all_write_one(y.data, 1, 33); });
  CHECK(only_race(within).where == "y[0]");
  CHECK(only_race(within).count == 32);
  const Report between = inspect([&] { wrong::all_write_one(y.data + 2, 3, 1); });
  const RaceReport& race = only_race(between);
  check_lines(race, "write_one", "write_one");
  CHECK(race.where == "y[2]");
  CHECK(race.missing == "blocks have no order");
  CHECK(race.earlier.block.x == 0);
  CHECK(race.later.block.x == 1);
  CHECK(race.count == 2);
  CHECK(inspect([&] { wrong::all_write_one(y.data, 1, 1); }).clean());
}

TEST_CASE("inspector: a block that reads what another has written") {
  auto x = zeros<float>("x", 16);
  const Report report = inspect([&] { wrong::read_neighbour_block(x.data, 8); });
  CHECK(only_race(report).count == 7);
  CHECK(only_race(report).earlier.kind == Kind::write);
  CHECK(only_race(report).later.kind == Kind::read);
  // Launches of one stream are ordered.
  CHECK(inspect([&] {
          wrong::all_write_one(x.data, 1, 1);
          wrong::all_write_one(x.data, 1, 1);
        }).clean());
}

TEST_CASE("inspector: atomics do not race with each other, but with plain accesses") {
  auto y = zeros<float>("y", 1);
  CHECK(inspect([&] { wrong::add_atomically(y.data, 4); }).clean());
  const Report report = inspect([&] { wrong::atomic_and_plain(y.data, 4); });
  const RaceReport& race = only_race(report);
  check_lines(race, "add_or_write, write", "add_or_write, add");
  CHECK(race.later.kind == Kind::atomic);
}

TEST_CASE("inspector: the last block may add up what others have fenced") {
  auto parts = zeros<float>("parts", 8 * 64);
  auto y = zeros<float>("y", 64);
  auto counter = zeros<unsigned>("counter", 1);
  for (const char* order : {"forward", "backward", "random:1"}) {
    simt::set_order(order);
    const Report fenced = inspect([&] { wrong::last_block_adds(parts.data, y.data, counter.data, 8, 1); });
    for (const KernelReport& k : fenced.kernels)
      for (const RaceReport& race : k.races) FAIL(race.text());
    for (const int fence : {0, 2, 3}) {
      CAPTURE(fence);
      const Report wrong_fence =
          inspect([&] { wrong::last_block_adds(parts.data, y.data, counter.data, 8, fence); });
      const RaceReport& race = only_race(wrong_fence);
      check_lines(race, "last_block, write", "last_block, read");
      CHECK(race.count == 7 * 64);
    }
  }
  simt::set_order("forward");
}

TEST_CASE("inspector: cp.async that nobody waited for, or that only its own thread did") {
  const auto x = zeros<float>("x", 128);
  auto y = zeros<float>("y", 128);
  CHECK(inspect([&] { wrong::copy_async_pipeline(x.data, y.data, true, true); }).clean());

  const Report no_wait = inspect([&] { wrong::copy_async_pipeline(x.data, y.data, false, true); });
  const RaceReport& race = only_race(no_wait);
  check_lines(race, "pipeline, copy", "pipeline, read");
  CHECK(race.earlier.in_flight);
  CHECK(race.missing == "the copy was not waited for (wait_copies)");
  CHECK(race.count == 128);

  const Report no_barrier = inspect([&] { wrong::copy_async_pipeline(x.data, y.data, true, false); });
  REQUIRE(no_barrier.kernels[0].races.size() == 2);  // some read before the copy, others after it
  for (const RaceReport& r : no_barrier.kernels[0].races) {
    if (r.later.kind == Kind::read)
      check_lines(r, "pipeline, copy", "pipeline, read");
    else
      check_lines(r, "pipeline, read", "pipeline, copy");
  }
}

TEST_CASE("inspector: neighbouring bytes are no race") {
  auto y = zeros<uint8_t>("y", 64);
  CHECK(inspect([&] { wrong::bytes_side_by_side(y.data, 64); }).clean());
}

TEST_CASE("inspector: one writer among many readers") {
  auto y = zeros<float>("y", 1);
  const Report report = inspect([&] { wrong::many_readers_one_writer(y.data, 5); });
  REQUIRE(report.kernels[0].races.size() == 2);  // 32 threads write it as well
  bool found = false;
  for (const RaceReport& race : report.kernels[0].races)
    found = found || (race.earlier.kind == Kind::read && race.later.kind == Kind::write &&
                      race.earlier.line.line == line_of("race_kernels.cu", "readers, read") &&
                      race.later.line.line == line_of("race_kernels.cu", "readers, write"));
  CHECK(found);
}

TEST_CASE("inspector: a writer that has read as well does not hide another reader") {
  auto y = zeros<float>("y", 3);
  const Report report = inspect([&] { wrong::read_then_write(y.data); });
  const RaceReport& race = only_race(report);
  check_lines(race, "both_read, read", "both_read, write");
  CHECK(race.earlier.block.x == 0);
}

}  // namespace dsllm::cuda
