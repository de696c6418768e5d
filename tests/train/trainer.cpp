#include "ref/train/trainer.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "ref/train/interrupt.hpp"
#include "ref/train/run_log.hpp"
#include "tests/train/small_run.hpp"

using namespace dsllm;
using namespace dsllm::testing;
namespace fs = std::filesystem;

static TrainResult run_small(const Dataset& data, const TrainConfig& config, const TrainOptions& options) {
  BigramEngine engine;
  return train(engine, data, config, options);
}

// Stops a run after `steps` more steps.
static std::function<bool()> after(int steps) {
  return [steps]() mutable { return --steps <= 0; };
}

static TrainOptions in(const std::string& run) {
  TrainOptions o;
  o.run = run;
  return o;
}

TEST_CASE("trainer: it learns, and the log says what it did") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  const TrainConfig config = small_config();
  TrainOptions options = in(scratch / "run");
  options.peak_flops = 1e9;
  const TrainResult result = run_small(data, config, options);
  CHECK(result.step == 60);
  CHECK(!result.stopped);
  const auto rows = read_run_log(scratch / "run/log.csv");
  REQUIRE(rows.size() == 63);
  int64_t step = 0;
  for (const LogRow& row : rows) {
    CHECK(row.tokens == 64 * row.step);
    if (row.heldout) {
      CHECK(row.step % 20 == 0);
      CHECK(row.bits_per_byte == bits_per_byte(row.loss, data.manifest.heldout));
      continue;
    }
    CHECK(row.step == ++step);
    CHECK(row.lr == ref::learning_rate(config.lr_schedule(), step, 60));
    CHECK(row.bits_per_byte == bits_per_byte(row.loss, data.manifest.train));
    CHECK(row.grad_norm > 0);
    CHECK(row.tokens_per_s > 0);
    CHECK(row.gemm_fraction >= 0);
  }
  CHECK(rows[0].loss == doctest::Approx(std::log(258)).epsilon(0.01));  // initial weights: nearly uniform
  CHECK(rows.back().heldout);
  CHECK(rows.back().loss < 3.5);  // the text has about 20 different characters, ln 20 = 3
  CHECK(result.heldout_loss == rows.back().loss);
  CHECK(result.heldout_bits_per_byte == rows.back().bits_per_byte);
  // Every 7 steps, the last three, the end, and the end of the first stage.
  std::vector<int64_t> steps;
  for (const auto& entry : list_checkpoints(scratch / "run")) steps.push_back(entry.step);
  CHECK(steps == std::vector<int64_t>{48, 49, 56, 60});
  CHECK(result.checkpoint == scratch / "run/checkpoints/step-000060");
  CHECK(read_json(scratch / "run/config.json").at("train") == train_config_to_json(config));
}

TEST_CASE("trainer: one step is the mean gradient, clipped, under AdamW at the rate of step 1") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  TrainConfig config = small_config();
  config.stages = {};
  config.tokens = 64;
  config.warmup_steps = 1;
  config.clip = 0.01;
  BigramEngine engine, by_hand;
  train(engine, data, config, in(scratch / "run"));

  by_hand.initialize(3);
  BatchLoader loader(data.train, 16, 4, 3);
  Tensor<int32_t, 2> tokens(4, 16), targets(4, 16);
  loader.next(tokens, targets);
  double sum = 0;
  for (int64_t row = 0; row < 4; row += 2)
    sum += by_hand.accumulate_gradients(tokens.rows(row, 2), targets.rows(row, 2), 1.0 / 64);
  const double norm = by_hand.clip_gradients(0.01);
  CHECK(norm > 0.01);
  by_hand.adamw_step({0.9, 0.95, 1e-8, 0.1}, 0.03, 1);
  CHECK(engine.state() == by_hand.state());
  const LogRow row = read_run_log(scratch / "run/log.csv").at(0);
  CHECK(row.loss == sum / 64);
  CHECK(row.grad_norm == norm);
}

TEST_CASE("trainer: micro-batches change the order of additions only") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  TrainConfig config = small_config();
  config.micro_batch = 1;
  run_small(data, config, in(scratch / "one"));
  config.micro_batch = 4;
  run_small(data, config, in(scratch / "four"));
  const auto one = read_run_log(scratch / "one/log.csv"), four = read_run_log(scratch / "four/log.csv");
  REQUIRE(one.size() == four.size());
  // Sums of 64 floats in another order: 64 * 2^-24 = 4e-6 of the gradient; AdamW keeps its size over 60 steps.
  for (size_t i = 0; i < one.size(); ++i) CHECK(one[i].loss == doctest::Approx(four[i].loss).epsilon(1e-4));
}

TEST_CASE("trainer: stopped and resumed at any step, a run equals the unbroken one bit for bit") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  TrainConfig config = small_config();
  const TrainResult whole = run_small(data, config, in(scratch / "whole"));
  for (const int first : {1, 6, 7, 20, 47, 48, 59}) {
    TrainOptions options = in(scratch / fmt::format("run-{}", first));
    options.stop = after(first);
    const TrainResult stopped = run_small(data, config, options);
    CHECK(stopped.stopped);
    CHECK(stopped.step == first);
    options.resume = true;
    options.stop = after(13);
    while (run_small(data, config, options).stopped) options.stop = after(13);
    CHECK(log_of(options.run) == log_of(scratch / "whole"));
    CHECK(tensors_of(checkpoint_path(options.run, 60)) == tensors_of(whole.checkpoint));
  }
}

TEST_CASE("trainer: resuming cuts the log back to the checkpoint and skips a torn one") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  const TrainConfig config = small_config();
  const TrainResult whole = run_small(data, config, in(scratch / "whole"));
  TrainOptions options = in(scratch / "run");
  options.stop = after(25);
  run_small(data, config, options);
  fs::resize_file(checkpoint_path(options.run, 25) + "/model.safetensors", 1000);
  {  // a row that was cut off by a power failure
    std::FILE* log = std::fopen((options.run + "/log.csv").c_str(), "a");
    std::fputs("26,1664,tra", log);
    std::fclose(log);
  }
  std::ostringstream messages;
  options.stop = {};
  options.resume = true;
  options.messages = &messages;
  run_small(data, config, options);
  CHECK(messages.str().find("skipping " + checkpoint_path(options.run, 25) +
                            ": model.safetensors has 1000 bytes") != std::string::npos);
  CHECK(messages.str().find("after step 21 of 60") != std::string::npos);
  CHECK(log_of(options.run) == log_of(scratch / "whole"));
  CHECK(tensors_of(checkpoint_path(options.run, 60)) == tensors_of(whole.checkpoint));
}

TEST_CASE("trainer: a finished run that is resumed does nothing and reports the same") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  TrainOptions options = in(scratch / "run");
  const TrainResult first = run_small(data, small_config(), options);
  const std::string log = read_file(options.run + "/log.csv");
  options.resume = true;
  const TrainResult again = run_small(data, small_config(), options);
  CHECK(again.step == 60);
  CHECK(again.heldout_loss == first.heldout_loss);
  CHECK(again.checkpoint == first.checkpoint);
  CHECK(read_file(options.run + "/log.csv") == log);
}

TEST_CASE(
    "trainer: one checkpoint of the first stage, continued to two budgets, equals the two unbroken runs") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  TrainConfig config = small_config(), longer = config;
  longer.tokens = 100 * 64;  // drops after 80 and 90
  const TrainResult short_run = run_small(data, config, in(scratch / "short"));
  const TrainResult long_run = run_small(data, longer, in(scratch / "long"));
  // The first stage of the shorter run is part of the longer one, the rest is not.
  const std::string first_stage = checkpoint_path(scratch / "short", 48);
  CHECK(log_of(scratch / "short", 0, 48) == log_of(scratch / "long", 0, 48));
  CHECK(log_of(scratch / "short", 48, 50) != log_of(scratch / "long", 48, 50));

  TrainOptions options = in(scratch / "short-again");
  options.from = first_stage;
  const TrainResult short_again = run_small(data, config, options);
  CHECK(log_of(options.run) == log_of(scratch / "short", 48));
  CHECK(tensors_of(short_again.checkpoint) == tensors_of(short_run.checkpoint));

  options.run = scratch / "long-again";
  const TrainResult long_again = run_small(data, longer, options);
  CHECK(log_of(options.run) == log_of(scratch / "long", 48));
  CHECK(tensors_of(long_again.checkpoint) == tensors_of(long_run.checkpoint));
  CHECK(tensors_of(long_again.checkpoint) != tensors_of(short_again.checkpoint));
}

TEST_CASE("trainer: the other branches: a resumed branch, and a cosine, which has no common stage") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  TrainConfig config = small_config(), longer = config;
  longer.tokens = 100 * 64;
  TrainOptions stage = in(scratch / "stage");
  stage.stop = after(40);
  const std::string checkpoint = run_small(data, config, stage).checkpoint;
  const TrainResult whole = run_small(data, longer, in(scratch / "whole"));

  TrainOptions branch = in(scratch / "branch");
  branch.from = checkpoint;
  branch.stop = after(30);
  CHECK(run_small(data, longer, branch).step == 70);
  branch.from = "";
  branch.stop = {};
  branch.resume = true;
  CHECK(tensors_of(run_small(data, longer, branch).checkpoint) == tensors_of(whole.checkpoint));
  CHECK(log_of(branch.run) == log_of(scratch / "whole", 40));

  // With a cosine, two budgets part as soon as the warm-up ends, and a checkpoint from beyond it is refused.
  config.schedule = longer.schedule = "cosine";
  const TrainResult a = run_small(data, config, in(scratch / "cosine-short"));
  const TrainResult b = run_small(data, longer, in(scratch / "cosine-long"));
  const auto rows_a = read_run_log(scratch / "cosine-short/log.csv"),
             rows_b = read_run_log(scratch / "cosine-long/log.csv");
  for (size_t i = 0; i < 6; ++i)
    CHECK(rows_a[i].loss == rows_b[i].loss);  // the rate of step 6 acts on the loss of step 7
  CHECK(rows_a[4].lr == rows_b[4].lr);
  CHECK(rows_a[5].lr != rows_b[5].lr);
  CHECK(rows_a[6].loss != rows_b[6].loss);
  TrainOptions refused = in(scratch / "refused");
  refused.from = checkpoint_path(scratch / "cosine-short", 49);
  CHECK_THROWS_AS(run_small(data, longer, refused), ConfigError);
}

TEST_CASE("trainer: a branch from beyond the first stage of either budget is refused") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  TrainConfig config = small_config(), other = config;
  run_small(data, config, in(scratch / "run"));
  const auto refused = [&](int64_t step, int64_t tokens, const char* message) {
    TrainOptions options = in(scratch / "branch");
    options.from = checkpoint_path(scratch / "run", step);
    other.tokens = tokens;
    try {
      run_small(data, other, options);
      FAIL("accepted");
    } catch (const ConfigError& e) {
      CHECK_MESSAGE(std::string(e.what()).find(message) != std::string::npos, std::string(e.what()));
    }
    CHECK(!fs::exists(options.run + "/log.csv"));
  };
  refused(
      49, 100 * 64,
      "at most 48 steps, where the learning rate begins to depend on the budget of the run it comes from");
  refused(
      48, 50 * 64,
      "at most 40 steps, where the learning rate begins to depend on the budget of this run (3200 tokens)");
}

TEST_CASE("trainer: it refuses to continue with another config, data or model, or into a used folder") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  const TrainConfig config = small_config();
  TrainOptions options = in(scratch / "run");
  options.stop = after(8);
  run_small(data, config, options);
  CHECK_THROWS_AS(run_small(data, config, options), UsageError);
  options.resume = true;
  TrainConfig other = config;
  other.lr = 0.01;
  CHECK_THROWS_AS(run_small(data, other, options), ConfigError);
  other = config;
  other.tokens *= 2;
  CHECK_THROWS_AS(run_small(data, other, options), ConfigError);

  BigramEngine wider(258, 8);
  CHECK_THROWS_AS(train(wider, data, config, options), ConfigError);
  Dataset other_data = small_dataset(scratch / "data2");
  other_data.manifest.train.checksum = "0000000000000000";
  CHECK_THROWS_AS(run_small(other_data, config, options), ConfigError);
  options.from = "x";
  CHECK_THROWS_AS(run_small(data, config, options), UsageError);

  BigramEngine narrow(100, 4);
  CHECK_THROWS_AS(train(narrow, data, config, in(scratch / "new")),
                  ConfigError);  // vocabulary below the data's
  other = config;
  other.seq_len = 128;
  CHECK_THROWS_AS(run_small(data, other, in(scratch / "new")), ConfigError);  // beyond the model's 64
  other = config;
  other.batch = 10'000;
  other.micro_batch = 2;
  other.stages = {};
  other.warmup_steps = 0;
  CHECK_THROWS_AS(run_small(data, other, in(scratch / "new")), FileError);  // more than the data
}

TEST_CASE("trainer: with nothing but torn checkpoints it stops, without any it begins at step 0") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  TrainOptions options = in(scratch / "run");
  options.resume = true;
  options.stop = after(3);
  CHECK(run_small(data, small_config(), options).step == 3);
  for (const auto& entry : list_checkpoints(options.run)) fs::remove(entry.path + "/manifest.json");
  CHECK_THROWS_AS(run_small(data, small_config(), options), FileError);
}

// Breaks at one step.
class FailingEngine : public BigramEngine {
 public:
  double accumulate_gradients(View<const int32_t, 2> tokens, View<const int32_t, 2> targets,
                              double scale) override {
    const double sum = BigramEngine::accumulate_gradients(tokens, targets, scale);
    return ++calls_ > 2 * 16 ? std::numeric_limits<double>::quiet_NaN() : sum;
  }

 private:
  int calls_ = 0;  // two micro-batches a step
};

TEST_CASE(
    "trainer: a loss that is not finite stops the run, names the step, and the last good checkpoint stays") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  FailingEngine engine;
  CHECK_THROWS_WITH_AS(train(engine, data, small_config(), in(scratch / "run")),
                       doctest::Contains("step 17: expected a finite loss and gradient, got loss nan"),
                       ValueError);
  const auto newest = newest_whole_checkpoint(scratch / "run", {});
  REQUIRE(newest.has_value());
  CHECK(newest->step == 14);
  CHECK(read_run_log(scratch / "run/log.csv").back().step == 16);
}

TEST_CASE("trainer: a text without a held-out part trains too") {
  const ScratchFolder scratch;
  std::string text;
  for (int i = 0; i < 400; ++i) text += fmt::format("{} and {}\n", i, i + 1);
  pack({{scratch.write("a.txt", text)}, scratch / "data", "", 0, 200, 0}, byte_tokenizer());
  const TrainResult result = run_small(Dataset::open(scratch / "data"), small_config(), in(scratch / "run"));
  CHECK(result.step == 60);
  CHECK(result.heldout_loss == 0);
}

TEST_CASE("trainer: a look at held-out text may be cut short; the last one is not") {
  const ScratchFolder scratch;
  const Dataset data = small_dataset(scratch / "data");
  TrainConfig config = small_config();
  config.eval_tokens = 64;
  BigramEngine engine;
  train(engine, data, config, in(scratch / "run"));
  const auto rows = read_run_log(scratch / "run/log.csv");
  CHECK(rows.back().loss == heldout_loss(engine, data, config, 0));
  CHECK(heldout_loss(engine, data, config, 64) != heldout_loss(engine, data, config, 0));
}

TEST_CASE("interrupt: the first signal is a question, and what was before is restored") {
  std::signal(SIGTERM, SIG_IGN);
  {
    const Interrupt interrupt;
    CHECK(!Interrupt::requested());
    std::raise(SIGTERM);
    CHECK(Interrupt::requested());
  }
  {
    const Interrupt interrupt;
    CHECK(!Interrupt::requested());
  }
  std::raise(SIGTERM);  // ignored again: the test goes on
  std::signal(SIGTERM, SIG_DFL);
}
