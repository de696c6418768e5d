// Plain attention, as the loops of the equation: the yardstick of the other implementations, and the gauges of bounds.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "ref/core/tensor.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/judge/pair.hpp"

namespace dsllm::tests {

// The arguments q, k, v of a call and, computed in type T, what softmax makes of them.
template <class T>
struct Plain {
  int64_t batch, seq, n_heads, n_kv_heads, d_head;
  View<const T, 4> q, k, v;
  Tensor<T, 4> p;    // [batch, n_heads, seq, seq]
  Tensor<T, 3> lse;  // [batch, n_heads, seq]

  explicit Plain(Call& c) : Plain(c.in<T, 4>("q"), c.in<T, 4>("k"), c.in<T, 4>("v")) {}
  Plain(View<const T, 4> queries, View<const T, 4> keys, View<const T, 4> values)
      : q(queries), k(keys), v(values) {
    batch = q.extent[0], seq = q.extent[1], n_heads = q.extent[2], d_head = q.extent[3];
    n_kv_heads = k.extent[2];
    p = Tensor<T, 4>(batch, n_heads, seq, seq);
    lse = Tensor<T, 3>(batch, n_heads, seq);
    const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(d_head)));
    each_query([&](int64_t b, int64_t h, int64_t g, int64_t i) {
      T max = -INFINITY, sum = 0;
      for (int64_t j = 0; j <= i; ++j) {
        T s = 0;
        for (int64_t e = 0; e < d_head; ++e) s += q(b, i, h, e) * k(b, j, g, e);
        p(b, h, i, j) = s * scale;
        max = std::max(max, p(b, h, i, j));
      }
      for (int64_t j = 0; j <= i; ++j) sum += p(b, h, i, j) = std::exp(p(b, h, i, j) - max);
      for (int64_t j = 0; j <= i; ++j) p(b, h, i, j) /= sum;
      lse(b, h, i) = max + std::log(sum);
    });
  }
  template <class F>
  void each_query(const F& f) const {
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t h = 0; h < n_heads; ++h)
        for (int64_t i = 0; i < seq; ++i) f(b, h, h / (n_heads / n_kv_heads), i);
  }
  void y(View<T, 4> out) const {
    std::fill_n(out.data, out.size(), T(0));
    each_query([&](int64_t b, int64_t h, int64_t g, int64_t i) {
      for (int64_t j = 0; j <= i; ++j)
        for (int64_t e = 0; e < d_head; ++e) out(b, i, h, e) += p(b, h, i, j) * v(b, j, g, e);
    });
  }
  // The gradients; or with absolute = true, the same sums over absolute values: their gauge.
  void gradients(View<const T, 4> dy, View<T, 4> dq, View<T, 4> dk, View<T, 4> dv,
                 bool absolute = false) const {
    const auto term = [&](T x) { return absolute ? std::abs(x) : x; };
    for (View<T, 4> x : {dq, dk, dv}) std::fill_n(x.data, x.size(), T(0));
    const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(d_head)));
    std::vector<T> dp(static_cast<size_t>(seq));
    each_query([&](int64_t b, int64_t h, int64_t g, int64_t i) {
      T mean = 0;
      for (int64_t j = 0; j <= i; ++j) {
        T sum = 0;
        for (int64_t e = 0; e < d_head; ++e) sum += term(dy(b, i, h, e) * v(b, j, g, e));
        dp[static_cast<size_t>(j)] = sum;
        mean += p(b, h, i, j) * sum;
      }
      for (int64_t j = 0; j <= i; ++j) {
        const T d = dp[static_cast<size_t>(j)];
        const T ds = scale * p(b, h, i, j) * (absolute ? d + mean : d - mean);
        for (int64_t e = 0; e < d_head; ++e) {
          dq(b, i, h, e) += term(ds * k(b, j, g, e));
          dk(b, j, g, e) += term(ds * q(b, i, h, e));
          dv(b, j, g, e) += term(p(b, h, i, j) * dy(b, i, h, e));
        }
      }
    });
  }
  // The error of a probability, relative and in units of eps: that of its score, sum_of(d_head) max_j scale sum |q| |k|
  // and a product; twice, since the sum of exponentials carries it too; exp and the sum; the division.
  double units_of_p(int64_t b, int64_t h, int64_t g, int64_t i) const {
    double largest = 0;
    for (int64_t j = 0; j <= i; ++j) {
      double gauge = 0;
      for (int64_t e = 0; e < d_head; ++e) gauge += std::abs(q(b, i, h, e) * k(b, j, g, e));
      largest = std::max(largest, gauge / std::sqrt(static_cast<double>(d_head)));
    }
    return 2 * (sum_of(d_head) + operations(3)) * largest + 2 * function_call + sum_of(i + 1) + operations(2);
  }
};

}  // namespace dsllm::tests
