// RUN/log.csv: one row per logged step, and one per look at held-out text.
//
//     step,tokens,split,loss,bits_per_byte,lr,grad_norm,tokens_per_s,gemm_fraction
//     120,491520,train,4.8123,3.105,0.001,0.84,9120,0.61
//     120,491520,heldout,4.9012,3.162,,,,
//
// loss is the mean over the step's targets in nats, before the step's update; lr and grad_norm (before clipping) are those
// of the update. tokens_per_s counts the time of training steps since the row before, and gemm_fraction is what that
// makes in FLOPs (training_flops_per_token) over the measured rate of matrix products; it is empty where that rate is
// not known. All columns but these two are printed so that reading them gives the same double, and are the same in a run
// that was resumed.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "ref/core/config.hpp"

namespace dsllm {

struct LogRow {
  int64_t step = 0, tokens = 0;
  bool heldout = false;
  double loss = 0, bits_per_byte = 0;
  double lr = 0, grad_norm = 0, tokens_per_s = 0, gemm_fraction = 0;  // of training rows; 0: empty
};

class RunLog {
 public:
  // Opens the log for appending, without its rows after `last_step`, if it has any, and without a torn last line. Throws
  // FileError if it cannot be written or its first line is another.
  RunLog(const std::string& path, int64_t last_step);

  void write(const LogRow& row);  // reaches the system at once, so that a killed process loses no row
  void flush();                   // reaches the disk

 private:
  struct Close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

// Throws FileError naming the line.
std::vector<LogRow> read_run_log(const std::string& path);

// Model FLOPs of one training token, forward and backward (twice the forward), a multiplication and an addition being two:
//
//     6 * (parameters without the embedding, whose rows are only looked up) + 6 * n_layers * n_heads * d_head * (seq + 1)
//
// The second term is causal attention: a token sees (seq + 1) / 2 others on average, for 4 d_head FLOPs each and head,
// times 3. (The paper's M, section 3.2, leaves the head out and counts full attention, twice as much.)
double training_flops_per_token(const ModelConfig& config, int64_t seq);

}  // namespace dsllm
