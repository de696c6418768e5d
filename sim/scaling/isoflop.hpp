// IsoFLOP profiles (paper, section 3.2): at every budget C, models of several scales M are trained for D = C / M tokens.
// A parabola in ln M through the losses around the best one has its minimum at M_opt(C), and the minima make
//
//     M_opt = M_base C^a        D_opt = C / M_opt = D_base C^b        b = 1 - a
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/scaling/fit.hpp"

namespace dsllm::sim {

struct IsoflopPoint {
  double flops = 0;        // C
  double model_scale = 0;  // M, FLOPs a token
  double loss = 0;         // bits per byte, or nats: the fit does not care
};

struct IsoflopOptions {
  // Points count if their M lies within this factor of their budget's best one; at least the nearest four. Far from its
  // minimum the curve is not a parabola. 0: all points.
  double window = 3;
  Bootstrap bootstrap;
};

struct IsoflopBudget {
  double flops = 0;
  int64_t points = 0, used = 0;
  double smallest = 0, largest = 0;              // M of the used points
  Parabola curve;                                // over ln M
  double model_scale = 0, tokens = 0, loss = 0;  // at the minimum
  Interval model_scale_interval;
  // False: the minimum is an extrapolation, M lies outside of what was trained.
  bool inside() const { return smallest <= model_scale && model_scale <= largest; }
};

struct IsoflopFit {
  std::vector<IsoflopBudget> budgets;  // in order of C
  PowerLawFit model_scale, tokens;     // a and b are the exponents
};

// The points are resampled within every budget, then the budgets among themselves: the intervals hold the noise of single
// runs and the scatter of the minima about the power law. Throws ValueError: a number that is not above 0, an M twice in
// one budget, fewer than three M in a budget or fewer than two budgets, a curve that bends downwards; it names the
// budget after `name`, a file for instance.
IsoflopFit fit_isoflop(const std::vector<IsoflopPoint>& points, const IsoflopOptions& options,
                       const std::string& name = "isoflop");

// Columns C, M (or M_flops_per_token), and loss (or bpb, val_bpb). Throws FileError naming line and column.
std::vector<IsoflopPoint> read_isoflop(const std::string& path);

}  // namespace dsllm::sim
