#include "ref/train/run_log.hpp"

#include <doctest/doctest.h>

#include "ref/core/error.hpp"
#include "tests/data/scratch.hpp"

using namespace dsllm;
using namespace dsllm::testing;

TEST_CASE("run_log: rows come back as they were written") {
  const ScratchFolder scratch;
  const std::string path = scratch / "log.csv";
  {
    RunLog log(path, 0);
    log.write({1, 64, false, 1.0 / 3, 0.1, 1e-7, 2.5, 12345.6, 0.61234});
    log.write({1, 64, true, 5.5, 1.25});
    log.write({2, 128, false, 3, 2, 1, 0.5, 10, 0});
  }
  const auto rows = read_run_log(path);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].loss == 1.0 / 3);
  CHECK(rows[0].lr == 1e-7);
  CHECK(rows[0].grad_norm == 2.5);
  CHECK(rows[0].tokens_per_s == 12346);
  CHECK(rows[0].gemm_fraction == 0.6123);
  CHECK(rows[1].heldout);
  CHECK(rows[1].bits_per_byte == 1.25);
  CHECK(rows[2].step == 2);
  CHECK(rows[2].gemm_fraction == 0);
  CHECK(read_file(path).find("\n1,64,heldout,5.5,1.25,,,,\n") != std::string::npos);
}

TEST_CASE("run_log: opened again it keeps the rows up to a step and appends") {
  const ScratchFolder scratch;
  const std::string path = scratch / "log.csv";
  for (int64_t step = 1; step <= 3; ++step) RunLog(path, 99).write({step, step, false, 1, 1, 1, 1, 1, 0});
  CHECK(read_run_log(path).size() == 3);
  RunLog(path, 2).write({7, 7, true, 1, 1});
  const auto rows = read_run_log(path);
  REQUIRE(rows.size() == 3);
  CHECK(rows[1].step == 2);
  CHECK(rows[2].step == 7);
}

TEST_CASE("run_log: a torn last line is dropped; a strange file is an error and stays") {
  const ScratchFolder scratch;
  const std::string path = scratch / "log.csv";
  RunLog(path, 0).write({1, 64, false, 1, 1, 1, 1, 1, 0});
  const std::string good = read_file(path);
  write_file_atomically(path, good + "2,128,tr");
  RunLog(path, 5);
  CHECK(read_file(path) == good);
  for (size_t cut = 0; cut < good.find('\n'); ++cut) {  // killed while writing the first line
    write_file_atomically(path, good.substr(0, cut));
    RunLog(path, 5);
    CHECK(read_run_log(path).empty());
  }
  write_file_atomically(path, "notes about my run\n");
  CHECK_THROWS_AS(RunLog(path, 5), FileError);
  CHECK(read_file(path) == "notes about my run\n");
  for (const char* row : {"1,64,train,1,1,1,1,1\n", "1,64,test,1,1,1,1,1,\n", "x,64,train,1,1,1,1,1,\n",
                          "1,64,train,,1,1,1,1,\n"}) {
    write_file_atomically(path, good + row);
    CHECK_THROWS_WITH_AS(read_run_log(path), doctest::Contains("line 3: expected a row of the log"),
                         FileError);
  }
}

TEST_CASE("run_log: FLOPs of a training token") {
  // 7B: 6 * (6,910,365,696 - 102400 * 4096) + 6 * 30 * 4096 * 4097.
  CHECK(training_flops_per_token(model_preset("deepseek-llm-7b"), 4096) ==
        6.0 * (6'910'365'696 - 419'430'400) + 6.0 * 30 * 4096 * 4097);
}
