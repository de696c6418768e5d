// Error bounds from the arithmetic. eps is the distance from 1 to the next number (2^-23 for float), so one operation
// errs by at most eps / 2, relatively. A bound is (a number of eps) * gauge, where the gauge of a sum is the sum of the
// absolute values of its terms, computed in double: cancellation is nobody's fault, and large elsewhere is no excuse.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace dsllm::tests {

// In units of eps: k operations one after another, and one call of exp, log, sin or cos (math libraries, vectorized
// ones too, promise an error of 1 to 2 eps).
constexpr double operations(double k) {
  return 0.5 * k;
}
constexpr double function_call = 2;

// In units of eps, relative to the gauge: the error of a sum of n products in any order and blocking. It is n + 1
// roundings at worst (Higham 2002, section 3.1). Roundings that behave like independent ones reach 6 sqrt(n) with a
// probability of 2 exp(-18) (Higham and Mary 2019, theorem 2.4), so beyond 36 terms that is asked for: at n = 4096 a
// bound of 192 eps in place of 2048, which still leaves a sequential sum room and a sum in bf16 none.
inline double sum_of(int64_t n) {
  const double terms = static_cast<double>(n);
  return operations(1 + std::min(terms, 6 * std::sqrt(terms)));
}

// f(0), f(1), ..., f(n - 1).
template <class F>
std::vector<double> each(int64_t n, const F& f) {
  std::vector<double> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(f(i));
  return values;
}

}  // namespace dsllm::tests
