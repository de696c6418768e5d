#include "ref/model/cross_entropy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ref/core/eigen.hpp"
#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/model/sum.hpp"

namespace dsllm::ref {
namespace {

constexpr int64_t tile = 256;  // logits at a time, as Sum<T>

// Calls f(z, first, count) with logits first .. first + count - 1 of one row, as a tile of S (its rest is 0).
template <class T, class F>
void for_each_tile(const T* row, int64_t vocab, F&& f) {
  using S = Sum<T>;
  for (int64_t first = 0; first < vocab; first += tile) {
    const int64_t count = std::min(tile, vocab - first);
    Eigen::Array<S, tile, 1> z = Eigen::Array<S, tile, 1>::Zero();
    for (int64_t j = 0; j < count; ++j) z[j] = static_cast<S>(row[first + j]);
    f(z, first, count);
  }
}

// The maximum and sum of exp(z - maximum) of a row: logsumexp without overflow. NaN in, NaN out.
template <class T>
struct RowSum {
  Sum<T> max, sum;

  RowSum(const T* row, int64_t vocab) : max(-INFINITY), sum(0) {
    for (int64_t j = 0; j < vocab; ++j) max = std::max(max, static_cast<Sum<T>>(row[j]));
    for_each_tile(row, vocab, [&](const auto& z, int64_t, int64_t count) {
      const Eigen::Array<Sum<T>, tile, 1> e = (z - max).exp();
      sum += lane_sum<Sum<T>>(count, [&](int64_t j) { return e[j]; });
    });
  }
  Sum<T> loss(Sum<T> target_logit) const { return std::log(sum) - (target_logit - max); }
};

template <class T>
void check_arguments(const char* operation, In<T, 2> logits, View<const int32_t, 1> targets,
                     In<Sum<T>, 1> losses) {
  const int64_t n = logits.extent[0], vocab = logits.extent[1];
  check_shape(operation, "targets", targets, {n});
  check_shape(operation, "losses", losses, {n});
  for (int64_t t = 0; t < n; ++t)
    if (targets(t) != ignored_target && (targets(t) < 0 || targets(t) >= vocab))
      throw ValueError(operation, fmt::format("targets below the vocabulary of {}", vocab),
                       fmt::format("target {} at position {}", targets(t), t));
}

}  // namespace

template <class T>
void cross_entropy_forward(In<T, 2> logits, View<const int32_t, 1> targets, Out<Sum<T>, 1> losses) {
  const int64_t n = logits.extent[0], vocab = logits.extent[1];
  check_arguments<T>("cross_entropy_forward", logits, targets, losses);
  parallel_for(n, [&](int64_t t) {
    const T* row = logits.data + t * vocab;
    const int32_t target = targets.data[t];
    losses.data[t] =
        target == ignored_target ? 0 : RowSum<T>(row, vocab).loss(static_cast<Sum<T>>(row[target]));
  });
}

template <class T>
void cross_entropy_forward_backward(Out<T, 2> logits, View<const int32_t, 1> targets, double scale,
                                    Out<Sum<T>, 1> losses) {
  using S = Sum<T>;
  const int64_t n = logits.extent[0], vocab = logits.extent[1];
  check_arguments<T>("cross_entropy_forward_backward", logits, targets, losses);
  parallel_for(n, [&](int64_t t) {
    T* row = logits.data + t * vocab;
    const int32_t target = targets.data[t];
    if (target == ignored_target) {
      losses.data[t] = 0;
      std::fill(row, row + vocab, T(0));
      return;
    }
    const RowSum<T> all(row, vocab);
    losses.data[t] = all.loss(static_cast<S>(row[target]));  // before the gradient overwrites the logit
    const S factor = static_cast<S>(scale) / all.sum;
    for_each_tile(row, vocab, [&](const auto& z, int64_t first, int64_t count) {
      Eigen::Array<S, tile, 1> gradient = (z - all.max).exp() * factor;
      if (target >= first && target < first + count) gradient[target - first] -= static_cast<S>(scale);
      for (int64_t j = 0; j < count; ++j) row[first + j] = static_cast<T>(gradient[j]);
    });
  });
}

template void cross_entropy_forward<float>(In<float, 2>, View<const int32_t, 1>, Out<float, 1>);
template void cross_entropy_forward<double>(In<double, 2>, View<const int32_t, 1>, Out<double, 1>);
template void cross_entropy_forward<bf16>(In<bf16, 2>, View<const int32_t, 1>, Out<float, 1>);
template void cross_entropy_forward_backward<float>(Out<float, 2>, View<const int32_t, 1>, double,
                                                    Out<float, 1>);
template void cross_entropy_forward_backward<double>(Out<double, 2>, View<const int32_t, 1>, double,
                                                     Out<double, 1>);
template void cross_entropy_forward_backward<bf16>(Out<bf16, 2>, View<const int32_t, 1>, double,
                                                   Out<float, 1>);

}  // namespace dsllm::ref
