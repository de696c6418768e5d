// dsllm-sim scaling law, isoflop, grid and predict, as functions. Each prints a report with its formulas and the numbers put
// in, or one JSON object, or CSV. All throw UsageError for json and csv together, and what their parts throw.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "sim/scaling/fit.hpp"

namespace dsllm::sim {

struct ScalingFormat {
  bool json = false, csv = false;
};

// What the laws advise for a budget: learning rate, batch, M, D, the nearest shapes, and table 4 beside it.
struct ScalingLawOptions {
  double compute = 0;                     // C, FLOPs of training
  std::string data = "deepseek-current";  // a name of scaling_data()
  int64_t seq_len = 4096;                 // of the shape that is drawn up, and of the batch in sequences
  ScalingFormat format;
};
void scaling_law_command(const ScalingLawOptions& options, std::ostream& out);

struct ScalingIsoflopOptions {
  std::string input;  // see read_isoflop
  double window = 3;  // see IsoflopOptions
  Bootstrap bootstrap;
  ScalingFormat format;
};
void scaling_isoflop_command(const ScalingIsoflopOptions& options, std::ostream& out);

struct ScalingGridOptions {
  std::string input;   // see read_grid
  double compute = 0;  // the grid's budget; 0: what the file's name tells, and without that no star
  double tolerance = 0.0025;
  ScalingFormat format;
};
void scaling_grid_command(const ScalingGridOptions& options, std::ostream& out);

struct ScalingPredictOptions {
  std::string input;  // see read_losses
  std::vector<double>
      budgets;  // to predict; with none here and none in the file, those of the paper's 7B and 67B
  Bootstrap bootstrap;
  ScalingFormat format;
};
void scaling_predict_command(const ScalingPredictOptions& options, std::ostream& out);

}  // namespace dsllm::sim
