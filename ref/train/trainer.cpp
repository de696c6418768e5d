#include "ref/train/trainer.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>
#include <ostream>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "ref/core/json.hpp"
#include "ref/core/progress.hpp"
#include "ref/core/tensor.hpp"
#include "ref/train/checkpoint.hpp"
#include "ref/train/run_log.hpp"

namespace dsllm {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

void check_fits(const TrainEngine& engine, const Dataset& data, const TrainConfig& config) {
  config.validate();
  const ModelConfig& model = engine.config();
  if (config.seq_len > model.seq_len)
    throw ConfigError("seq_len", fmt::format("at most the model's {}", model.seq_len),
                      fmt::to_string(config.seq_len));
  if (data.manifest.vocab_size > model.vocab_size)
    throw ConfigError("vocab_size", fmt::format("at least the {} ids of the data", data.manifest.vocab_size),
                      fmt::to_string(model.vocab_size));
}

class Trainer {
 public:
  Trainer(TrainEngine& engine, const Dataset& data, const TrainConfig& config, const TrainOptions& options)
      : engine_(engine),
        data_(data),
        config_(config),
        options_(options),
        schedule_(config.lr_schedule()),
        total_steps_(config.total_steps()),
        loader_(data.train, config.seq_len, config.batch, static_cast<uint64_t>(config.seed)),
        tokens_(config.micro_batch, config.seq_len),
        targets_(config.micro_batch, config.seq_len) {
    const int64_t common = ref::steps_independent_of_budget(schedule_, total_steps_);
    if (schedule_.shape == ref::LrSchedule::Shape::multi_step && common < total_steps_)
      end_of_first_stage_ = common;
  }

  TrainResult run() {
    begin();
    const int64_t first = step_;
    log_.emplace((fs::path(options_.run) / "log.csv").string(), step_);
    std::optional<Progress> progress;
    if (options_.progress) progress.emplace("train", "steps", total_steps_, step_);
    bool stopped = false;
    while (step_ < total_steps_ && !stopped) {
      const LogRow row = train_step();
      const bool last = step_ == total_steps_;
      if (last || due(config_.log_every)) write_row(row);
      if (has_heldout() && !last && due(config_.eval_every)) log_heldout(config_.eval_tokens);
      if (last && has_heldout()) result_.heldout_loss = log_heldout(0);
      stopped = !last && options_.stop && options_.stop();
      if (last || stopped || step_ == end_of_first_stage_ || due(config_.checkpoint_every)) save();
      if (progress) progress->update(step_, fmt::format("loss {:.3f}", row.loss));
    }
    if (progress) progress->finish();
    if (first == total_steps_) {  // resumed at its very end
      result_.checkpoint = checkpoint_path(options_.run, step_);
      if (has_heldout()) result_.heldout_loss = heldout_loss(engine_, data_, config_, 0);
    }
    result_.heldout_bits_per_byte = bits_per_byte(result_.heldout_loss, data_.manifest.heldout);
    result_.step = step_;
    result_.total_steps = total_steps_;
    result_.stopped = stopped;
    if (stopped)
      say("stopped after step {} of {} and saved {}; --resume goes on from there", step_, total_steps_,
          result_.checkpoint);
    return result_;
  }

 private:
  template <class... Args>
  void say(fmt::format_string<Args...> text, Args&&... args) const {
    if (options_.messages) *options_.messages << fmt::format(text, std::forward<Args>(args)...) << std::endl;
  }

  bool due(int64_t every) const { return every > 0 && step_ % every == 0; }
  bool has_heldout() const { return data_.heldout.size() > 1; }

  // Brings engine, loader and step to where the run begins.
  void begin() {
    if (options_.resume && !options_.from.empty())
      throw UsageError("pretrain", "either --resume or --from", "both");
    const bool exists =
        fs::exists(fs::path(options_.run) / "log.csv") || !list_checkpoints(options_.run).empty();
    if (exists && !options_.resume)
      throw UsageError("pretrain", "a new folder (--resume goes on with an old one)", options_.run);
    std::error_code error;
    fs::create_directories(options_.run, error);
    if (error) throw FileError(options_.run, "", "a folder that can be made", error.message());
    lock_.emplace((fs::path(options_.run) / "lock").string());
    if (options_.resume)
      resume();
    else if (!options_.from.empty())
      branch();
    else
      engine_.initialize(static_cast<uint64_t>(config_.seed));
    write_file_atomically((fs::path(options_.run) / "config.json").string(),
                          run_config_to_json({engine_.config(), config_}).dump(2) + "\n");
  }

  void resume() {
    const auto checkpoint = newest_whole_checkpoint(
        options_.run,
        [&](const std::string& path, const std::string& damage) { say("skipping {}: {}", path, damage); });
    if (!checkpoint) {
      if (const auto torn = list_checkpoints(options_.run); !torn.empty())
        throw FileError(options_.run, "checkpoints", "a whole one",
                        fmt::format("{} torn ones, the last is {}", torn.size(), torn.back().path));
      say("{} has no checkpoint yet: beginning at step 0", options_.run);
      engine_.initialize(static_cast<uint64_t>(config_.seed));
      return;
    }
    const CheckpointState state = read_checkpoint_state(checkpoint->path);
    check_continues(state.train, config_, false);
    load(checkpoint->path, state);
    say("resuming {} after step {} of {}", checkpoint->path, step_, total_steps_);
  }

  void branch() {
    if (const auto damage = find_damage(options_.from, true))
      throw FileError(options_.from, "", "a whole checkpoint", *damage);
    const CheckpointState state = read_checkpoint_state(options_.from);
    check_continues(state.train, config_, true);
    const auto require_first_stage = [&](const TrainConfig& budget, const char* whose) {
      const int64_t steps = ref::steps_independent_of_budget(budget.lr_schedule(), budget.total_steps());
      if (state.step > steps)
        throw ConfigError(
            "tokens",
            fmt::format("a checkpoint of at most {} steps, where the learning rate begins to depend on "
                        "the budget of {} ({} tokens)",
                        steps, whose, budget.tokens),
            fmt::format("{} after {} steps", options_.from, state.step));
    };
    require_first_stage(config_, "this run");
    require_first_stage(state.train, "the run it comes from");
    load(options_.from, state);
    say("continuing {} after step {} to {} steps, {} tokens", options_.from, step_, total_steps_,
        config_.tokens);
  }

  void load(const std::string& path, const CheckpointState& state) {
    if (state.data_checksum != data_.manifest.train.checksum)
      throw ConfigError(path, fmt::format("data with checksum {}, as in the checkpoint", state.data_checksum),
                        fmt::format("{} in {}", data_.manifest.train.checksum, data_.folder));
    load_checkpoint(path, engine_);
    loader_.seek(state.position);
    step_ = state.step;
  }

  LogRow train_step() {
    const auto start = Clock::now();
    const int64_t step = step_ + 1, targets = config_.tokens_per_step();
    engine_.zero_gradients();
    double sum = 0;
    for (int64_t done = 0; done < config_.batch; done += config_.micro_batch) {
      loader_.next(tokens_, targets_);
      sum += engine_.accumulate_gradients(tokens_, targets_, 1 / static_cast<double>(targets));
    }
    const double loss = sum / static_cast<double>(targets);
    const double norm = engine_.clip_gradients(config_.clip);
    if (!std::isfinite(loss) || !std::isfinite(norm))
      throw ValueError(fmt::format("step {}", step), "a finite loss and gradient",
                       fmt::format("loss {} and gradient norm {}", loss, norm));
    const double lr = ref::learning_rate(schedule_, step, total_steps_);
    engine_.adamw_step(config_.adamw(), lr, step);
    step_ = step;
    seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
    timed_tokens_ += targets;
    LogRow row;
    row.step = step_;
    row.tokens = step_ * targets;
    row.loss = loss;
    row.bits_per_byte = bits_per_byte(loss, data_.manifest.train);
    row.lr = lr;
    row.grad_norm = norm;
    return row;
  }

  void write_row(LogRow row) {
    if (seconds_ > 0) row.tokens_per_s = static_cast<double>(timed_tokens_) / seconds_;
    if (options_.peak_flops > 0)
      row.gemm_fraction = row.tokens_per_s * training_flops_per_token(engine_.config(), config_.seq_len) /
                          options_.peak_flops;
    log_->write(row);
    seconds_ = 0;
    timed_tokens_ = 0;
  }

  double log_heldout(int64_t limit) {
    LogRow row;
    row.step = step_;
    row.tokens = step_ * config_.tokens_per_step();
    row.heldout = true;
    row.loss = heldout_loss(engine_, data_, config_, limit);
    row.bits_per_byte = bits_per_byte(row.loss, data_.manifest.heldout);
    log_->write(row);
    return row.loss;
  }

  void save() {
    log_->flush();  // first: a checkpoint never stands for steps that the log has lost
    CheckpointState state;
    state.step = step_;
    state.tokens = step_ * config_.tokens_per_step();
    state.position = loader_.position();
    state.data_checksum = data_.manifest.train.checksum;
    state.model = engine_.config();
    state.train = config_;
    result_.checkpoint = save_checkpoint(options_.run, engine_, state,
                                         {config_.keep, end_of_first_stage_, options_.extra_files});
  }

  TrainEngine& engine_;
  const Dataset& data_;
  const TrainConfig& config_;
  const TrainOptions& options_;
  const ref::LrSchedule schedule_;
  const int64_t total_steps_;
  int64_t end_of_first_stage_ = -1;  // its checkpoint can be continued to other budgets, so it is kept
  BatchLoader loader_;
  Tensor<int32_t, 2> tokens_, targets_;  // [micro_batch, seq_len]
  std::optional<FileLock> lock_;         // two processes in one run would mix their logs and checkpoints
  std::optional<RunLog> log_;
  int64_t step_ = 0;  // steps done
  double seconds_ = 0;
  int64_t timed_tokens_ = 0;
  TrainResult result_;
};

}  // namespace

TrainResult train(TrainEngine& engine, const Dataset& data, const TrainConfig& config,
                  const TrainOptions& options) {
  check_fits(engine, data, config);
  return Trainer(engine, data, config, options).run();
}

double heldout_loss(TrainEngine& engine, const Dataset& data, const TrainConfig& config, int64_t limit) {
  Tensor<int32_t, 2> tokens(config.micro_batch, config.seq_len), targets(config.micro_batch, config.seq_len);
  double sum = 0;
  int64_t count = 0;
  const int64_t batches = heldout_batches(data.heldout, config.micro_batch, config.seq_len, limit);
  for (int64_t i = 0; i < batches; ++i) {
    count += read_heldout_batch(data.heldout, i, tokens, targets);
    sum += engine.loss(tokens, targets);
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

}  // namespace dsllm
