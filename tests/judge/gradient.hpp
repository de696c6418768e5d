// Gradients against 4-point differences in double:
//
//     f'(x) = (f(x - 2h) - 8 f(x - h) + 8 f(x + h) - f(x + 2h)) / 12h  -  h^4 f'''''(x) / 30 - ...
//
// With h = 2^-10 the remainder is about 3e-14 f''''', and the roundings of f, divided by h, about as much. Nothing is
// assumed of f''''': the same formula with 2h has 16 times the remainder, so the difference of the two bounds it.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>

#include "ref/core/view.hpp"
#include "tests/judge/compare.hpp"
#include "tests/judge/draw.hpp"

namespace dsllm::tests {

// Moves x[i] and calls f; x is as before afterwards.
inline double four_point_difference(const std::function<double()>& f, double& x, double h) {
  const double before = x;
  const auto at = [&](double step) {
    x = before + step;
    return f();
  };
  const double sum = at(-2 * h) - 8 * at(-h) + 8 * at(h) - at(2 * h);
  x = before;
  return sum / (12 * h);
}

// gradient[i] = df / dx[i]? For all i, or for `samples` random ones. gauge: of f, the sum of the absolute values that
// f adds; each of them is granted 32 roundings.
inline Verdict check_gradient(const std::function<double()>& f, View<double, 1> x,
                              View<const double, 1> gradient, double gauge, int64_t samples = 0) {
  Verdict verdict;
  double largest = 0;
  for (int64_t i = 0; i < gradient.size(); ++i) largest = std::max(largest, std::abs(gradient(i)));
  Draw draw(static_cast<uint64_t>(x.size()), Style::normal);
  const int64_t n = samples > 0 ? std::min(samples, x.size()) : x.size();
  for (int64_t sample = 0; sample < n && verdict.pass; ++sample) {
    const int64_t i = samples > 0 ? draw.integer(0, x.size() - 1) : sample;
    const double h = 0x1p-10 * std::max(1.0, std::abs(x(i)));
    const double fine = four_point_difference(f, x(i), h), coarse = four_point_difference(f, x(i), 2 * h);
    const double rounding = 16 * std::numeric_limits<double>::epsilon() * gauge / h;
    const double bound = std::abs(fine - coarse) + rounding;
    compare(fmt::format("element {} of", i), {&gradient(i), 1}, {&fine, 1}, {&bound, 1}, verdict);
    // A bound this wide would let a wrong gradient pass.
    if (!(bound <= 1e-6 * std::max(largest, gauge))) {
      verdict.pass = false;
      verdict.reason = fmt::format("the differences at element {} are too coarse: bound {:.2g}", i, bound);
    }
  }
  return verdict;
}

}  // namespace dsllm::tests
