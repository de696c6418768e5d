// The comparator: is every element of a result within its own bound of the truth?
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ref/core/view.hpp"

namespace dsllm::tests {

struct Verdict {
  bool pass = true;
  std::string reason;    // empty, or why not: "y[3]: error 1.2e-3, bound 4.1e-7 ..."
  double max_error = 0;  // largest absolute error of all outputs
  double error = 0;      // that of the element with the largest share of its bound
  double max_share = 0;  // largest error as a share of its element's bound; <= 1 for a pass
  std::string worst;     // where that share is, "y[3]"
  int64_t elements = 0;  // compared
};

// Element by element, error <= bound, written so that a NaN anywhere fails. Keeps the worst of all calls with one verdict.
void compare(const std::string& name, std::span<const double> got, std::span<const double> truth,
             std::span<const double> bound, Verdict& verdict);

// The same for a view, with one bound for all elements.
template <class T, int N>
Verdict compare(const View<T, N>& got, std::span<const double> truth, double bound) {
  const std::vector<double> x(got.data, got.data + got.size());
  Verdict verdict;
  compare("", x, truth, std::vector<double>(x.size(), bound), verdict);
  return verdict;
}

}  // namespace dsllm::tests
