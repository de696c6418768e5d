// Eigen over views: the only place where the two meet. Included by .cpp files of ref/, never by a header.
//
// Eigen is column-major unless told; every map here is row-major. `auto` on an Eigen expression keeps references to
// temporaries, so results are always written into a map or a named matrix.
#pragma once

#include <Eigen/Core>

#include "ref/core/view.hpp"

namespace dsllm::ref {

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using ColumnVector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

// Map<const Matrix> over const elements, Map<Matrix> over others.
template <class T, class Plain>
using MapOf = Eigen::Map<std::conditional_t<std::is_const_v<T>, const Plain, Plain>, Eigen::Unaligned,
                         Eigen::OuterStride<>>;

// x [rows, cols] as a matrix.
template <class T>
auto matrix(View<T, 2> x) {
  return MapOf<T, RowMajor<std::remove_const_t<T>>>(x.data, x.extent[0], x.extent[1],
                                                    Eigen::OuterStride<>(x.extent[1]));
}

// rows x cols elements with `stride` elements from one row to the next: one head of [seq, heads, d_head].
template <class T>
auto strided(T* data, int64_t rows, int64_t cols, int64_t stride) {
  return MapOf<T, RowMajor<std::remove_const_t<T>>>(data, rows, cols, Eigen::OuterStride<>(stride));
}

// x [n] as a column vector.
template <class T>
auto vector(View<T, 1> x) {
  using Plain = ColumnVector<std::remove_const_t<T>>;
  return Eigen::Map<std::conditional_t<std::is_const_v<T>, const Plain, Plain>>(x.data, x.extent[0]);
}

}  // namespace dsllm::ref
