// How exact a loss and a gradient can be that are made from a row of logits.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "ref/core/settings.hpp"
#include "ref/core/view.hpp"
#include "tests/judge/bounds.hpp"

namespace dsllm::tests {

struct LogitsRow {
  double max, lse;
  double spread;     // sum_j p_j |z_j - max|: how the roundings of z_j - max move the sum, relatively
  double row_units;  // the relative error of the sum of exponentials, in units of eps
};

inline LogitsRow logits_row(View<const double, 1> z) {
  LogitsRow r{};
  r.max = *std::max_element(z.data, z.data + z.size());
  double sum = 0, moment = 0;
  for (int64_t j = 0; j < z.size(); ++j) {
    sum += std::exp(z(j) - r.max);
    moment += std::exp(z(j) - r.max) * (r.max - z(j));
  }
  r.lse = r.max + std::log(sum);
  r.spread = moment / sum;
  r.row_units = sum_of(z.size()) + function_call + operations(1) * r.spread;
  return r;
}

// loss = max + log(sum) - z_t: the error of the sum moves its logarithm by as much, and each of the numbers that are
// added or subtracted is rounded. 0 for an ignored target.
inline double loss_bound_of(View<const double, 1> z, int32_t target, double eps) {
  if (target == ignored_target) return 0;
  const LogitsRow r = logits_row(z);
  return eps * (r.row_units + function_call * (r.lse - r.max) +
                operations(2) * (std::abs(r.max) + std::abs(r.lse) + std::abs(z(target))));
}

// Of scale (p_j - [j = t]) for all j, p = exp(z - lse) or exp(z - max) / sum: relative to p the errors of the sum, of the
// argument of exp (which is rounded, as max and lse are) and of three operations; then a subtraction and a product.
inline void append_gradient_bounds(View<const double, 1> z, int32_t target, double scale, double eps,
                                   std::vector<double>& bounds) {
  const LogitsRow r = logits_row(z);
  for (int64_t j = 0; j < z.size(); ++j) {
    const double p = std::exp(z(j) - r.lse);
    const double argument = std::abs(z(j) - r.max) + std::abs(r.lse) + std::abs(r.max);
    const double units = r.row_units + function_call * (1 + r.lse - r.max) + operations(1) * argument;
    const double sum = p + (j == target ? 1 : 0);
    bounds.push_back(target == ignored_target ? 0
                                              : eps * std::abs(scale) * (p * units + operations(5) * sum));
  }
}

}  // namespace dsllm::tests
