// How a model is trained (paper, sections 2.3 and 2.4): a config file holds {"model": {...}, "train": {...}}.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ref/core/config.hpp"
#include "ref/core/fields.hpp"
#include "ref/core/json_fwd.hpp"
#include "ref/model/engine.hpp"
#include "ref/train/lr_schedule.hpp"

namespace dsllm {

struct TrainConfig {
  int64_t tokens = 20'000'000;  // the budget; the last step may pass it by less than one batch
  int64_t batch = 16;           // sequences per step
  int64_t micro_batch = 16;     // sequences that are computed at once; their gradients are added up in fp32
  int64_t seq_len = 256;
  std::string schedule = "multi-step";  // or "cosine"
  double lr = 1e-3;
  int64_t warmup_steps = 2000;
  std::vector<ref::LrStage> stages = ref::paper_stages();  // in a file: "stages": [[0.8, 0.316], [0.9, 0.1]]
  double min_ratio = 0.1;
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
  double clip = 1.0;
  int64_t seed = 0;              // of the weights and of the order of the data
  int64_t log_every = 1;         // steps, as the next ones; 0: never
  int64_t eval_every = 0;        // on held-out text; always at the end
  int64_t eval_tokens = 0;       // at most so many of it; 0: all
  int64_t checkpoint_every = 0;  // always at the end
  int64_t keep = 2;              // the last so many checkpoints, and the last one of the first stage

  // Throws ConfigError naming the field, its value and the rule.
  void validate() const;

  int64_t tokens_per_step() const { return batch * seq_len; }
  int64_t total_steps() const { return (tokens + tokens_per_step() - 1) / tokens_per_step(); }
  ref::LrSchedule lr_schedule() const;  // throws ConfigError for an unknown name
  AdamwSettings adamw() const { return {beta1, beta2, eps, weight_decay}; }
};

template <class Config, class Visit>
requires is_config<Config, TrainConfig>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"tokens", "training tokens", 1, 0x1p53}, c.tokens);
  visit(Field{"batch", "sequences per step", 1, 1 << 24}, c.batch);
  visit(Field{"micro_batch", "sequences computed at once", 1, 1 << 24}, c.micro_batch);
  visit(Field{"seq_len", "tokens per sequence", 1, 1 << 28}, c.seq_len);
  visit(Field{"schedule", "shape of the learning rate"}, c.schedule);
  visit(Field{"lr", "maximum learning rate", 0, 10}, c.lr);
  visit(Field{"warmup_steps", "steps of linear warm-up", 0, 1e12}, c.warmup_steps);
  visit(Field{"min_ratio", "last rate of a cosine, of the maximum", 0, 1}, c.min_ratio);
  visit(Field{"beta1", "decay of AdamW's first moment", 0, 0.999999999}, c.beta1);
  visit(Field{"beta2", "decay of AdamW's second moment", 0, 0.999999999}, c.beta2);
  visit(Field{"eps", "AdamW's epsilon", 1e-30, 1}, c.eps);
  visit(Field{"weight_decay", "decoupled weight decay", 0, 10}, c.weight_decay);
  visit(Field{"clip", "largest norm of the gradient", 1e-12, 1e12}, c.clip);
  visit(Field{"seed", "seed", 0, 0x1p53}, c.seed);
  visit(Field{"log_every", "steps from one row of the log to the next", 0, 1e12}, c.log_every);
  visit(Field{"eval_every", "steps from one look at held-out text to the next", 0, 1e12}, c.eval_every);
  visit(Field{"eval_tokens", "held-out tokens of such a look", 0, 0x1p53}, c.eval_tokens);
  visit(Field{"checkpoint_every", "steps from one checkpoint to the next", 0, 1e12}, c.checkpoint_every);
  visit(Field{"keep", "checkpoints that are kept", 1, 1'000'000}, c.keep);
}

// Reads the fields that json names, "stages" among them, over the defaults. Validated. Throws FileError, ConfigError.
TrainConfig train_config_from_json(const Json& json, const std::string& path);
Json train_config_to_json(const TrainConfig& config);

// A whole config file. Sequences may not be longer than the model's.
struct RunConfig {
  ModelConfig model;
  TrainConfig train;
};
RunConfig run_config_from_json(const Json& json, const std::string& path);
RunConfig read_run_config(const std::string& path);
Json run_config_to_json(const RunConfig& config);

// Throws ConfigError naming the first field in which a run that is continued from a checkpoint of `saved` would differ
// from one that was never broken off. What only decides when something is logged, evaluated or kept may differ, and so may
// what belongs to the budget (tokens, schedule, stages, min_ratio) where `other_budget` allows it.
void check_continues(const TrainConfig& saved, const TrainConfig& config, bool other_budget);

}  // namespace dsllm
