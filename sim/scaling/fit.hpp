// Fits for scaling laws (paper, section 3), each with a percentile interval from a seeded bootstrap.
//
//     power law        y = base C^exponent          a straight line in (ln C, ln y), by least squares
//     parabola         y = y0 + k (x - x0)^2        by least squares; x is ln M on an IsoFLOP curve
//     loss law         L = L0 + A C^-alpha          linear in L0 and A for a given alpha; alpha by golden section
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ref/core/philox.hpp"

namespace dsllm::sim {

struct Interval {
  double low = 0, high = 0;
  bool contains(double x) const { return low <= x && x <= high; }
};

// How intervals are drawn. The same seed gives the same interval.
struct Bootstrap {
  int64_t resamples = 1000;
  double confidence = 0.95;
  uint64_t seed = 0;
};

struct PowerLaw {
  double base = 0, exponent = 0;
  double at(double c) const;  // base * c^exponent
};

// L0 + A (C / reference)^-alpha. The reference keeps A near the losses themselves; A C^-alpha has A reference^alpha.
struct LossLaw {
  double floor = 0, scale = 0, alpha = 0;
  double reference = 1;  // FLOPs
  double at(double c) const;
};

struct Parabola {
  double minimum_x = 0, minimum_y = 0, curvature = 0;  // y = minimum_y + curvature (x - minimum_x)^2
};

// y ~ C, both above 0. Throws ValueError unless there are two different C.
PowerLaw fit_power_law(std::span<const double> c, std::span<const double> y);

// Throws ValueError unless there are three different x and the parabola opens upwards.
Parabola fit_parabola(std::span<const double> x, std::span<const double> y);

// Throws ValueError unless there are four different C, and if no alpha of [0.001, 4] is best: losses that do not flatten, that
// do not fall, or that reach their floor at once. The error begins with `name`, a file for instance.
LossLaw fit_loss_law(std::span<const double> c, std::span<const double> loss,
                     const std::string& name = "loss law");

// The same fits without an exception, for resamples: nothing where these throw. A loss law goes through three different C
// exactly, which will do for one draw of many.
std::optional<PowerLaw> try_power_law(std::span<const double> c, std::span<const double> y);
std::optional<Parabola> try_parabola(std::span<const double> x, std::span<const double> y);
std::optional<LossLaw> try_loss_law(std::span<const double> c, std::span<const double> loss);

// n indices drawn from [0, n) with replacement.
std::vector<int64_t> draw_with_replacement(int64_t n, Philox& random);

// Runs `statistics` on `resamples` draws; each returns as many numbers as `size`, or nothing for a draw that cannot be
// fitted (all points the same), which is drawn again. Returns the percentile interval of each number. `spoiled` receives
// how many draws were drawn again. Throws ValueError for a confidence outside (0, 1), fewer than 2 resamples, and where
// more than 9 of 10 draws are spoiled.
std::vector<Interval> bootstrap(const Bootstrap& options, size_t size,
                                const std::function<std::optional<std::vector<double>>(Philox&)>& statistics,
                                int64_t* spoiled = nullptr);

// A power law with the intervals of its two numbers, resampling the points.
struct PowerLawFit {
  PowerLaw law;
  Interval base, exponent;
};
PowerLawFit fit_power_law(std::span<const double> c, std::span<const double> y, const Bootstrap& options);

// The elements of x at these indices.
std::vector<double> at_indices(std::span<const double> x, std::span<const int64_t> indices);

}  // namespace dsllm::sim
