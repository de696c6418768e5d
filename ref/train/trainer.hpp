// Training (paper, sections 2.3 and 2.4): batches, gradients, clipping, AdamW, the schedule, a log and checkpoints, for any
// engine.
//
// A run is a folder: config.json (as read by read_run_config), log.csv, checkpoints/. A step is: gradients of `batch`
// sequences, added up over micro-batches; clipping; AdamW at the step's learning rate; then, where they are due, the row of
// the log, a look at held-out text, and a checkpoint, in this order. A run that is resumed, as often as one likes, gives the
// same weights and the same log, bit for bit, as one that was never broken off (on the same build and engine).
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>

#include "ref/data/dataset.hpp"
#include "ref/model/engine.hpp"
#include "ref/train/train_config.hpp"

namespace dsllm {

struct TrainOptions {
  std::string run;      // the folder
  bool resume = false;  // go on from the newest whole checkpoint of `run`; from step 0 if it has none yet
  // Or: begin a new run at this checkpoint, which may belong to another budget, as long as neither budget's learning rate
  // has left what all budgets have in common (the first stage of the multi-step schedule).
  std::string from;
  double peak_flops = 0;  // measured rate of matrix products, for the log; 0: unknown
  std::map<std::string, std::string> extra_files;  // to lie in every checkpoint
  std::function<bool()> stop;                      // asked after every step: save and return?
  std::ostream* messages = nullptr;                // a few plain lines about what happens
  bool progress = false;                           // a progress line on standard error
};

struct TrainResult {
  int64_t step = 0, total_steps = 0;
  bool stopped = false;                                // by `stop`, before the end
  std::string checkpoint;                              // of `step`
  double heldout_loss = 0, heldout_bits_per_byte = 0;  // at the end of a run that has held-out text
};

// engine: made for [config.micro_batch, config.seq_len]. Throws:
//   UsageError   `run` holds a run already and is not resumed, or resume and from are both given;
//   ConfigError  config does not fit itself, the model, the data or the checkpoint; a checkpoint past the first stage;
//   FileError    a file that cannot be read or written (a full disk), a run of which only torn checkpoints are left;
//   ValueError   a loss or a gradient norm that is not finite, with the step; nothing of that step is saved.
TrainResult train(TrainEngine& engine, const Dataset& data, const TrainConfig& config,
                  const TrainOptions& options);

// Mean loss in nats over held-out text, by batches of [config.micro_batch, config.seq_len]; limit as in heldout_batches.
double heldout_loss(TrainEngine& engine, const Dataset& data, const TrainConfig& config, int64_t limit);

}  // namespace dsllm
