#include "ref/model/rmsnorm.hpp"

#include <algorithm>
#include <cmath>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/model/sum.hpp"

namespace dsllm::ref {

constexpr int64_t rows_a_piece = 16;

template <class T, class W>
void rmsnorm_forward(In<T, 2> x, In<W, 1> weight, double eps, Out<T, 2> y, Out<T, 1> inv_rms) {
  const int64_t n = x.extent[0], d = x.extent[1];
  check_shape("rmsnorm_forward", "weight", weight, {d});
  check_shape("rmsnorm_forward", "y", y, {n, d});
  check_shape("rmsnorm_forward", "inv_rms", inv_rms, {n});
  parallel_pieces(n, rows_a_piece, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const T* xt = x.data + t * d;
      const T mean_square = lane_dot<T>(d, xt, xt) / static_cast<T>(d);
      const T inv = T(1) / std::sqrt(mean_square + static_cast<T>(eps));
      for (int64_t j = 0; j < d; ++j) y.data[t * d + j] = xt[j] * inv * static_cast<T>(weight.data[j]);
      inv_rms.data[t] = inv;
    }
  });
}

template <class T>
void rmsnorm_backward(In<T, 2> dy, In<T, 2> x, In<T, 1> weight, In<T, 1> inv_rms, Out<T, 2> dx,
                      Out<T, 1> dweight) {
  const int64_t n = x.extent[0], d = x.extent[1];
  check_shape("rmsnorm_backward", "dy", dy, {n, d});
  check_shape("rmsnorm_backward", "weight", weight, {d});
  check_shape("rmsnorm_backward", "inv_rms", inv_rms, {n});
  check_shape("rmsnorm_backward", "dx", dx, {n, d});
  check_shape("rmsnorm_backward", "dweight", dweight, {d});

  // y_j = x_j inv w_j  =>  dw_j += sum_t dy_tj x_tj inv_t. First, since dx may overwrite dy; in columns, so that no two
  // threads add to one element.
  constexpr int64_t columns = 64;
  parallel_pieces(d, columns, [&](int64_t begin, int64_t end) {
    T sum[columns] = {};
    for (int64_t t = 0; t < n; ++t)
      for (int64_t j = begin; j < end; ++j)
        sum[j - begin] += dy.data[t * d + j] * x.data[t * d + j] * inv_rms.data[t];
    for (int64_t j = begin; j < end; ++j) dweight.data[j] += sum[j - begin];
  });

  // inv = (mean(x^2) + eps)^(-1/2)  =>  d inv / d x_j = -inv^3 x_j / d. With g_j = dy_j w_j:
  //     dx_j = inv g_j - x_j inv^3 (1/d) sum_i g_i x_i
  parallel_pieces(n, rows_a_piece, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const T *dyt = dy.data + t * d, *xt = x.data + t * d, *w = weight.data;
      const T inv = inv_rms.data[t];
      const T g_dot_x = lane_sum<T>(d, [&](int64_t j) { return dyt[j] * w[j] * xt[j]; });
      const T back = inv * inv * inv * g_dot_x / static_cast<T>(d);
      for (int64_t j = 0; j < d; ++j) dx.data[t * d + j] = inv * dyt[j] * w[j] - xt[j] * back;
    }
  });
}

template void rmsnorm_forward<float, float>(In<float, 2>, In<float, 1>, double, Out<float, 2>, Out<float, 1>);
template void rmsnorm_forward<float, bf16>(In<float, 2>, In<bf16, 1>, double, Out<float, 2>, Out<float, 1>);
template void rmsnorm_forward<double, double>(In<double, 2>, In<double, 1>, double, Out<double, 2>,
                                              Out<double, 1>);
template void rmsnorm_backward<float>(In<float, 2>, In<float, 2>, In<float, 1>, In<float, 1>, Out<float, 2>,
                                      Out<float, 1>);
template void rmsnorm_backward<double>(In<double, 2>, In<double, 2>, In<double, 1>, In<double, 1>,
                                       Out<double, 2>, Out<double, 1>);

}  // namespace dsllm::ref
