// A training run of a second: text, its config, and how to compare two runs.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "ref/data/pack.hpp"
#include "ref/train/checkpoint.hpp"
#include "ref/train/trainer.hpp"
#include "tests/data/scratch.hpp"
#include "tests/train/bigram_engine.hpp"

namespace dsllm::testing {

inline Dataset small_dataset(const std::string& folder) {
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += fmt::format("{} times {} is {}.\n", i % 20, i / 20, (i % 20) * (i / 20));
  std::filesystem::create_directories(folder);
  write_file_atomically(folder + "/text.txt", text);
  pack({{folder + "/text.txt"}, folder, "", 0.1, 200, 0}, byte_tokenizer());
  return Dataset::open(folder);
}

// 60 steps of 64 tokens; drops after 48 and 54.
inline TrainConfig small_config() {
  TrainConfig c;
  c.batch = 4, c.micro_batch = 2, c.seq_len = 16;
  c.tokens = 60 * 64;
  c.lr = 0.03;
  c.warmup_steps = 5;
  c.seed = 3;
  c.eval_every = 20;
  c.checkpoint_every = 7;
  c.keep = 3;
  return c;
}

// The log without the columns that depend on the clock: the rows of steps from + 1 .. to.
inline std::string log_of(const std::string& run, int64_t from = 0, int64_t to = INT64_MAX) {
  std::string rows;
  const std::string text = read_file(run + "/log.csv");
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = text.find('\n', begin);
    std::string line = text.substr(begin, end - begin);
    if (begin > 0 && (std::stoll(line) <= from || std::stoll(line) > to)) continue;
    line.erase(line.rfind(','));
    line.erase(line.rfind(','));
    rows += line + "\n";
  }
  return rows;
}

// The bytes of weights and moments of a checkpoint.
inline std::string tensors_of(const std::string& checkpoint) {
  return read_file(checkpoint + "/model.safetensors") + read_file(checkpoint + "/optimizer.safetensors");
}

}  // namespace dsllm::testing
