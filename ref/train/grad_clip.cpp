#include "ref/train/grad_clip.hpp"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"

namespace dsllm::ref {
namespace {

constexpr int64_t grain = 1 << 16;
constexpr int64_t lanes =
    8;  // partial sums inside a piece: independent of each other, so that they fill the pipeline

template <class T>
double sum_of_squares(const T* x, int64_t n) {
  double sums[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const double value = static_cast<double>(x[i + lane]);
      sums[lane] += value * value;
    }
  for (; i < n; ++i) sums[i % lanes] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double sum = 0;
  for (const double s : sums) sum += s;
  return sum;
}

}  // namespace

template <class T>
double global_norm(In<T, 1> gradient) {
  const int64_t n = gradient.extent[0];
  std::vector<double> pieces(static_cast<size_t>((n + grain - 1) / grain));
  parallel_pieces(n, grain, [&](int64_t begin, int64_t end) {
    pieces[static_cast<size_t>(begin / grain)] = sum_of_squares(gradient.data + begin, end - begin);
  });
  double sum = 0;
  for (const double piece : pieces) sum += piece;
  return std::sqrt(sum);
}

template <class T>
double grad_clip(double max_norm, Out<T, 1> gradient) {
  if (!(max_norm > 0)) throw ValueError("grad_clip", "max_norm > 0", fmt::format("{}", max_norm));
  const double norm = global_norm<T>(gradient);
  if (!std::isfinite(norm) || norm <= max_norm) return norm;
  const T factor = static_cast<T>(max_norm / norm);
  parallel_pieces(gradient.extent[0], grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) gradient.data[i] *= factor;
  });
  return norm;
}

template double global_norm<float>(In<float, 1>);
template double global_norm<double>(In<double, 1>);
template double grad_clip<float>(double, Out<float, 1>);
template double grad_clip<double>(double, Out<double, 1>);

}  // namespace dsllm::ref
