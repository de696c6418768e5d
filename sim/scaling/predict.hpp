// Loss at a larger budget from the optima of smaller ones (paper, section 3.2, figure 5): L(C) = L0 + A C^-alpha.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/scaling/fit.hpp"

namespace dsllm::sim {

struct LossPoint {
  double flops = 0, loss = 0;
};

// A budget to predict, and what was measured there, if it was.
struct LossTarget {
  std::string label;
  double flops = 0;
  std::optional<double> measured;
};

struct LossTable {
  std::vector<LossPoint> points;
  std::vector<LossTarget> targets;
};

struct LossPrediction {
  LossTarget target;
  double loss = 0;
  Interval interval;
  // 0.01 is 1% too high.
  std::optional<double> error() const {
    return target.measured ? std::optional(loss / *target.measured - 1) : std::nullopt;
  }
};

struct LossFit {
  LossLaw law;
  Interval floor, alpha;
  double scale_at_1() const;    // A of A C^-alpha with C in FLOPs
  double largest_residual = 0;  // share of the loss
  std::vector<LossPrediction> predictions;
};

// Throws ValueError as fit_loss_law does, and for a target that is not above 0.
LossFit fit_and_predict(const std::vector<LossPoint>& points, const std::vector<LossTarget>& targets,
                        const Bootstrap& options, const std::string& name = "loss law");

// Columns C and loss (or bpb, val_bpb, val_bpb_digitized). A row whose C carries a name in brackets, "8.493e22 (7B)", is not
// fitted but predicted, and compared with its loss; its loss may be empty. Columns that begin with M_opt, D_opt or bpb_refit
// are not read. Throws FileError naming line and column, for fewer than four budgets also.
LossTable read_losses(const std::string& path);

}  // namespace dsllm::sim
