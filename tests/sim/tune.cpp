// dsllm-tune as a process: what it prints is the file that the simulator is built from, and a held-out table moves nothing.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "ref/core/file.hpp"
#include "tests/temporary_folder.hpp"

using namespace dsllm;

namespace {

const std::string header =
    "name,n_layers,d_model,n_heads,n_kv_heads,d_ff,gated,tied,vocab_size,seq_len,gpu,gpus,gpus_per_node,dp,"
    "tp,pp,cp,"
    "interleave,schedule,zero,micro_batch,global_batch,recompute,sp,precision,measured_step_time_s,"
    "measured_memory_bytes,oom\n";

// A model of 1.3B on 8 GPUs, with a batch and a time of its own.
std::string row(const char* gpu, int batch, double seconds) {
  return fmt::format(
      "{}-{},24,2048,16,16,8192,0,0,50304,2048,{},8,8,8,1,1,1,1,1f1b,0,2,{},none,0,bf16,{},,0\n", gpu, batch,
      gpu, batch, seconds);
}

struct Outcome {
  int code;
  std::string out, err;
};

Outcome tune(const std::string& tables, const std::string& arguments) {
  const TemporaryFolder folder;
  const int status = std::system(
      fmt::format("'{}/dsllm-tune' --tables '{}' --facts '{}' --data '{}' {} >'{}' 2>'{}'", DSLLM_BIN_DIR,
                  tables, folder.path, folder.path, arguments, folder / "out", folder / "err")
          .c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(folder / "out"), read_file(folder / "err")};
}

bool is_built() {
  if (std::filesystem::exists(std::string(DSLLM_BIN_DIR) + "/dsllm-tune")) return true;
  MESSAGE("skipped: dsllm-tune is built where NLopt is installed");
  return false;
}

}  // namespace

TEST_CASE("dsllm-tune: a fit moves towards its tables, and not towards one that is held out") {
  if (!is_built()) return;
  const TemporaryFolder folder;
  write_file_atomically(folder / "slow.csv", header + row("a100-sxm", 64, 4) + row("a100-sxm", 128, 8));
  write_file_atomically(folder / "other.csv", header + row("a100-sxm", 64, 2));
  const std::string few = "--starts 1 --evaluations 60 ";
  const Outcome all = tune(folder.path, few);
  REQUIRE_MESSAGE(all.code == 0, all.err);
  CHECK(all.out.find("const Constants& constants() {") != std::string::npos);
  CHECK(all.out.find("    c.ampere.gemm_fraction = ") != std::string::npos);
  const Outcome again = tune(folder.path, few);
  CHECK(all.out == again.out);  // a fit can be repeated

  const Outcome held = tune(folder.path, few + "--hold-out other");
  CHECK(held.code == 0);
  CHECK(held.err.find("held out") != std::string::npos);
  CHECK(held.out != all.out);
  write_file_atomically(folder / "other.csv", header + row("a100-sxm", 64, 1));
  CHECK(tune(folder.path, few + "--hold-out other").out == held.out);
  CHECK(tune(folder.path, few).out != all.out);
}

TEST_CASE("dsllm-tune: errors name what is missing") {
  if (!is_built()) return;
  const TemporaryFolder folder;
  CHECK(tune(folder.path, "").err.find("expected tables (*.csv), got none") != std::string::npos);
  write_file_atomically(folder / "a.csv", header + row("a100-sxm", 64, 2));
  const Outcome unknown = tune(folder.path, "--starts 0 --hold-out b");
  CHECK(unknown.code == 1);
  CHECK(unknown.err.find("--hold-out: expected the name of a table in") != std::string::npos);
}
