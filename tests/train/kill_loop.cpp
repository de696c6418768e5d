// A run that is killed fifty times at moments that nobody chose, and still ends as if nothing had happened.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>

#include "ref/core/parallel.hpp"
#include "ref/model/eigen_engine.hpp"
#include "tests/train/small_run.hpp"

using namespace dsllm;
using namespace dsllm::testing;

namespace {

constexpr int kills = 50;
constexpr int steps_per_life = 40;  // then the child waits to be killed, so that it cannot finish the run

ModelConfig tiny_model() {
  ModelConfig c = model_preset("tiny");
  c.n_layers = 1;
  c.d_model = 16;
  c.n_heads = 2;
  c.n_kv_heads = 1;
  c.d_head = 8;
  c.d_ff = 16;
  c.vocab_size = 258;
  c.validate();
  return c;
}

TrainConfig killed_config() {
  TrainConfig c = small_config();
  c.batch = c.micro_batch = 2;
  c.tokens = (kills + 1) * steps_per_life * c.tokens_per_step();
  c.lr = 1e-3;
  c.eval_every = 50;
  c.eval_tokens = 64;
  c.checkpoint_every = 2;
  return c;
}

TrainResult run_killed(const std::string& folder, const std::string& run, const TrainConfig& config,
                       bool resume, const std::function<bool()>& stop) {
  const Dataset data = Dataset::open(folder + "/data");
  ref::EigenEngine engine(tiny_model(), config.micro_batch, config.seq_len);
  TrainOptions options;
  options.run = folder + "/" + run;
  options.resume = resume;
  options.stop = stop;
  return train(engine, data, config, options);
}

int64_t newest_step(const std::string& run) {
  const auto entries = list_checkpoints(run);
  return entries.empty() ? 0 : entries.back().step;
}

// This program again, as the process that is killed.
pid_t start_child(const std::string& folder) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::setenv("DSLLM_KILL_LOOP", folder.c_str(), 1);
  const int nowhere = ::open("/dev/null", O_WRONLY);
  ::dup2(nowhere, 1);
  ::execl("/proc/self/exe", "test-train", "--no-skip", "--test-case=kill loop: the child", nullptr);
  ::_exit(127);
}

}  // namespace

TEST_CASE("kill loop: the child" * doctest::skip()) {
  const char* folder = std::getenv("DSLLM_KILL_LOOP");
  if (folder == nullptr) return;  // somebody runs all the tests that are skipped as a rule
  set_threads(1);
  int steps = 0;
  run_killed(folder, "killed", killed_config(), true, [&] {
    while (++steps > steps_per_life) ::pause();
    return false;
  });
}

TEST_CASE(
    "kill loop: after 50 SIGKILLs every checkpoint is whole and the run ends bit for bit as an unbroken "
    "one") {
  const ScratchFolder scratch;
  small_dataset(scratch / "data");
  const std::string run = scratch / "killed";
  std::mt19937 random(1);
  const auto up_to = [&](int n) { return static_cast<int64_t>(random() % static_cast<unsigned>(n + 1)); };
  int64_t newest = 0, lives_that_saved = 0;
  for (int life = 0; life < kills; ++life) {
    const pid_t child = start_child(scratch.path);
    REQUIRE(child > 0);
    // Most lives end some time after 1 to 3 checkpoints more, whatever the machine's speed; every fifth one before or
    // while it begins.
    const int64_t saves = life % 5 == 4 ? 0 : 1 + up_to(2);
    const auto start = std::chrono::steady_clock::now();
    while (newest_step(run) < newest + 2 * saves) {
      ::usleep(500);
      REQUIRE(::waitpid(child, nullptr, WNOHANG) == 0);                             // it lives
      REQUIRE(std::chrono::steady_clock::now() - start < std::chrono::minutes(2));  // and does not hang
    }
    ::usleep(static_cast<useconds_t>(up_to(saves == 0 ? 30'000 : 5'000)));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);

    const auto entries = list_checkpoints(run);
    ref::EigenEngine engine(tiny_model(), 2, 16);
    for (const auto& entry : entries) REQUIRE(load_checkpoint(entry.path, engine).step == entry.step);
    const int64_t now = newest_step(run);
    REQUIRE(now >= newest + 2 * saves);
    lives_that_saved += now > newest ? 1 : 0;
    newest = now;
  }
  CHECK(lives_that_saved >= kills * 4 / 5);
  CHECK(newest >= 2 * kills * 4 / 5);

  TrainConfig config = killed_config();
  config.checkpoint_every = 500;
  set_threads(1);
  const TrainResult resumed = run_killed(scratch.path, "killed", config, true, {});
  const TrainResult unbroken = run_killed(scratch.path, "unbroken", config, false, {});
  set_threads(0);
  CHECK(list_checkpoints(run).size() <= 4);  // the last three, and that of the first stage
  CHECK(resumed.step == config.total_steps());
  CHECK(log_of(run) == log_of(scratch / "unbroken"));
  CHECK(tensors_of(resumed.checkpoint) == tensors_of(unbroken.checkpoint));
}
