// A table of measured runs against what a predictor says of them.
//
// A row that says everything is one scenario. Otherwise all that its empty cells leave are predicted, and the fastest that
// fits in memory counts as the prediction: published runs were tuned, so their authors will have looked for just that.
// (Where none fits, the fastest of all counts, and the row is called out of memory.) The median and the slowest of those
// that fit are reported beside it.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "ref/core/json_fwd.hpp"
#include "sim/scenario.hpp"
#include "sim/validate/choices.hpp"
#include "sim/validate/statistics.hpp"
#include "sim/validate/table.hpp"

namespace dsllm::sim {

struct Prediction {
  double step_time_s = 0;
  double memory_bytes = 0;  // as programs report it: allocated, on rank 0, which writes the log
  bool fits = true;
};
// Called with checked scenarios only.
using Predictor = std::function<Prediction(const Scenario&)>;

struct JudgedRow {
  Measurement measured;
  Choices choices;  // without its scenarios; a reason: the row is left out
  int64_t scenarios = 0, fitting = 0;
  Scenario scenario;                   // that counts
  Prediction predicted;                // of it
  double median_s = 0, slowest_s = 0;  // of those that fit, or of all if none does
  Prediction naive;                    // of the same scenario

  bool left_out() const { return scenarios == 0; }
  // The run ended for want of memory; nothing if the row does not say. A run with a time has ended well.
  std::optional<bool> ran_out() const;
};

// How well one predictor does on a set of rows.
struct Score {
  ErrorStatistics time, memory;
  std::vector<int64_t> time_rows, memory_rows;  // the rows behind both, for `largest`
  OomStatistics oom;
};

struct Judgement {
  std::vector<JudgedRow> rows;
  int64_t left_out = 0;
  int64_t without_measurement = 0;  // rows that say nothing to compare with
  double naive_efficiency = 0;      // fitted to this table; 0 without a time
  Score ours, naive;
  Score ours_tp8, naive_tp8;  // of the rows with tp up to 8
  int64_t beyond_tp8 = 0;     // how many rows the last two lack
};

// Throws ValueError if the predictor gives something that is no number above 0.
Judgement judge(const std::vector<Measurement>& rows, const Predictor& predict);

// Rows with predicted beside measured, then the statistics, of ours and the naive model.
void print_text(const Judgement& judgement, const std::string& path, std::ostream& out);
Json to_json(const Judgement& judgement, const std::string& path);

struct ValidateOptions {
  std::string table;  // the file
  bool json = false;
  Predictor predict;
};
// Throws FileError for a table that cannot be read. Returns the program's exit status.
int validate_command(const ValidateOptions& options, std::ostream& out);

}  // namespace dsllm::sim
