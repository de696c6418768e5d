// Grids of learning rate and batch size at one budget (paper, section 3.1, figure 2), and the band in which the loss exceeds
// the smallest by no more than 0.25%: the paper calls every setting inside it near-optimal.
//
// Two readings of the band are given, since a single run has noise of its own. The cells are the plain one: what was measured
// within the tolerance of the smallest measured loss. The surface is the smooth one: a quadratic in (log2 batch, log2 rate)
// through all cells within ten times the tolerance, and the tolerance counts from its own minimum.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/scaling/fit.hpp"

namespace dsllm::sim {

struct Grid {
  std::vector<double> log2_batch;         // [rows], tokens, rising
  std::vector<double> log2_rate;          // [columns], rising
  std::vector<std::vector<double>> loss;  // [rows, columns]
};

// y = minimum + a quadratic form around (log2_batch, log2_rate).
struct QuadraticSurface {
  double minimum = 0, log2_batch = 0, log2_rate = 0;
  double batch2 = 0, batch_rate = 0, rate2 = 0;  // of (db^2, db dr, dr^2)
  int64_t cells = 0;
  double noise = 0;  // root mean square of what the cells leave, by degrees of freedom
  double at(double log2_batch, double log2_rate) const;
};

// Where the formula (equation 1) puts a budget on the grid.
struct Star {
  double flops = 0, log2_batch = 0, log2_rate = 0;
  bool on_the_grid = false;
  bool inside = false;                  // within the ranges of the near-optimal cells
  int64_t row = 0, column = 0;          // the nearest cell
  std::optional<double> loss;           // between the four cells around it; nothing off the grid
  std::optional<double> above_surface;  // its share above the surface's minimum: 0.001 is 0.1%
};

struct GridBand {
  double tolerance = 0.0025, minimum = 0;
  int64_t row = 0, column = 0;          // of the minimum
  std::vector<std::vector<bool>> near;  // [rows, columns]
  int64_t cells = 0;                    // near ones
  Interval log2_batch, log2_rate;       // their ranges
  // Nothing where the cells have no minimum or are fewer than seven.
  std::optional<QuadraticSurface> surface;
  Interval surface_log2_batch, surface_log2_rate;  // where the surface stays within the tolerance
  std::optional<Star> star;
};

// flops: the grid's budget, if it is known. Throws ValueError for a tolerance that is not above 0 or above 1, axes that do
// not rise, a loss that is not above 0, and a budget that is not above 0.
GridBand find_band(const Grid& grid, double tolerance = 0.0025, std::optional<double> flops = {});

// The first column is log2_batch_tokens\log2_lr (or batch_tokens\lr, then logarithms are taken here), one column a rate.
// Throws FileError naming line and column.
Grid read_grid(const std::string& path);

// The budget that a file's name tells, as in grid_1e17_177M.csv: the first part between _, - and . that is a number with an e.
std::optional<double> flops_in_name(const std::string& path);

}  // namespace dsllm::sim
