// What `dsllm-ref data pack` and `dsllm-ref pretrain` do, behind the command line, for any engine.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ref/model/engine.hpp"
#include "ref/train/trainer.hpp"

namespace dsllm {

struct DataPackCommand {
  std::string tokenizer;  // a tokenizer.json with a begin and an end of text
  std::vector<std::string> inputs;
  std::string out;  // a folder
  std::string separator;
  double heldout = 0.05;
  int64_t block_bytes = 16 * 1024;
  int64_t seed = 0;
  bool repair = false;  // text that is not UTF-8: U+FFFD in place of an error
};
// Prints what came of it to `log`. Throws what pack() throws, and ValueError for a tokenizer without BOS or EOS.
void data_pack(const DataPackCommand& command, std::ostream& log, bool progress);

struct PretrainCommand {
  std::string config;  // a file; may be empty with `resume`, which finds it in the run
  std::string data;    // a folder that data_pack wrote
  std::string out;     // the run's folder
  bool resume = false;
  std::string from;    // see TrainOptions::from
  int64_t tokens = 0;  // replaces the config's budget unless 0
};

// What differs from one program to the next.
struct PretrainBackend {
  std::function<std::unique_ptr<TrainEngine>(const ModelConfig&, int64_t batch, int64_t seq)> make_engine;
  double peak_flops = 0;  // see TrainOptions
  // Files that make a folder with model.safetensors one in the Hugging Face form (config.json); may be empty.
  std::function<std::map<std::string, std::string>(const ModelConfig&)> model_files;
  // Writes the trained model into a folder in that form; may be empty.
  std::function<void(const TrainEngine&, const std::string& folder)> save_model;
};

// Trains, stops at Ctrl-C or SIGTERM with a checkpoint, and at the end writes RUN/model with save_model and the data's
// tokenizer.json. Throws what train() throws, and UsageError for options that do not go together.
TrainResult pretrain(const PretrainCommand& command, const PretrainBackend& backend, std::ostream& log,
                     bool progress);

}  // namespace dsllm
