// Sums in 16 interleaved lanes: element i goes to lane i mod 16, and the lanes are added as a tree.
//
// The compiler turns the lanes into vector registers without any licence to reorder, the result depends on n alone
// (not on alignment or threads), and the rounding error grows with n / 16 instead of n.
#pragma once

#include <cstdint>

namespace dsllm::ref {

// sum of term(i), i = 0 .. n - 1, in type S.
template <class S, class Term>
inline S lane_sum(int64_t n, const Term& term) {
  constexpr int lanes = 16;
  S lane[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int l = 0; l < lanes; ++l) lane[l] += term(i + l);
  for (int l = 0; i < n; ++i, ++l) lane[l] += term(i);
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
  return lane[0];
}

// a . b
template <class S, class A, class B>
inline S lane_dot(int64_t n, const A* a, const B* b) {
  return lane_sum<S>(n, [&](int64_t i) { return static_cast<S>(a[i]) * static_cast<S>(b[i]); });
}

}  // namespace dsllm::ref
