#include "ref/model/linear.hpp"

#include "ref/core/eigen.hpp"
#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/model/sum.hpp"

namespace dsllm::ref {
namespace {

// Output rows or columns per piece of work: at most 16 pieces of at least 64, a multiple of every register tile.
int64_t grain(int64_t extent) {
  return std::max<int64_t>(64, (extent + 16 * 64 - 1) / (16 * 64) * 64);
}

// c = a b, or c += a b, cut along the longer side of c. a and b are Eigen expressions without a copy (maps, transposes).
template <class A, class B, class C>
void product(const A& a, const B& b, C& c, Write write) {
  const auto piece = [&](auto&& a_part, auto&& b_part, auto&& c_part) {
    if (write == Write::overwrite) c_part.setZero();
    c_part.noalias() += a_part * b_part;
  };
  if (c.rows() >= c.cols())
    parallel_pieces(c.rows(), grain(c.rows()), [&](int64_t begin, int64_t end) {
      piece(a.middleRows(begin, end - begin), b, c.middleRows(begin, end - begin));
    });
  else
    parallel_pieces(c.cols(), grain(c.cols()), [&](int64_t begin, int64_t end) {
      piece(a, b.middleCols(begin, end - begin), c.middleCols(begin, end - begin));
    });
}

// Few rows of x: every weight is read once for all of them, and the time is that of reading the weights.
template <class T, class W>
void few_rows_forward(In<T, 2> x, In<W, 2> weight, Out<T, 2> y) {
  const int64_t n = x.extent[0], d_in = weight.extent[1], d_out = weight.extent[0];
  parallel_pieces(d_out, grain(d_out), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o)
      for (int64_t t = 0; t < n; ++t)
        y.data[t * d_out + o] = lane_dot<T>(d_in, x.data + t * d_in, weight.data + o * d_in);
  });
}

// Many rows against bf16 weights: a tile of weights at a time becomes float, on the stack.
void tiled_forward(In<float, 2> x, In<bf16, 2> weight, Out<float, 2> y) {
  constexpr int64_t tile_out = 64, tile_in = 512;
  const int64_t d_in = weight.extent[1], d_out = weight.extent[0];
  const auto x_matrix = matrix(x);
  auto y_matrix = matrix(y);
  parallel_pieces(d_out, tile_out, [&](int64_t begin, int64_t end) {
    alignas(64) float tile[tile_out * tile_in];
    auto y_part = y_matrix.middleCols(begin, end - begin);
    y_part.setZero();
    for (int64_t first = 0; first < d_in; first += tile_in) {
      const int64_t width = std::min(tile_in, d_in - first);
      for (int64_t o = begin; o < end; ++o)
        for (int64_t i = 0; i < width; ++i)
          tile[(o - begin) * tile_in + i] = weight.data[o * d_in + first + i];
      y_part.noalias() += x_matrix.middleCols(first, width) *
                          strided<const float>(tile, end - begin, width, tile_in).transpose();
    }
  });
}

}  // namespace

template <class T, class W>
void linear_forward(In<T, 2> x, In<W, 2> weight, Out<T, 2> y) {
  constexpr int64_t few = 4;
  const int64_t n = x.extent[0], d_out = weight.extent[0], d_in = weight.extent[1];
  check_shape("linear_forward", "x", x, {n, d_in});
  check_shape("linear_forward", "y", y, {n, d_out});
  if (n <= few) return few_rows_forward<T, W>(x, weight, y);
  if constexpr (std::is_same_v<T, W>) {
    auto y_matrix = matrix(y);
    product(matrix(x), matrix(weight).transpose(), y_matrix, Write::overwrite);
  } else {
    tiled_forward(x, weight, y);
  }
}

template <class T>
void linear_backward_input(In<T, 2> dy, In<T, 2> weight, Out<T, 2> dx, Write write) {
  const int64_t n = dy.extent[0], d_out = weight.extent[0], d_in = weight.extent[1];
  check_shape("linear_backward_input", "dy", dy, {n, d_out});
  check_shape("linear_backward_input", "dx", dx, {n, d_in});
  // y = x W^T  =>  dx = dy W
  auto dx_matrix = matrix(dx);
  product(matrix(dy), matrix(weight), dx_matrix, write);
}

template <class T>
void linear_backward_weight(In<T, 2> dy, In<T, 2> x, Out<T, 2> dweight) {
  const int64_t n = x.extent[0], d_out = dweight.extent[0], d_in = dweight.extent[1];
  check_shape("linear_backward_weight", "dy", dy, {n, d_out});
  check_shape("linear_backward_weight", "x", x, {n, d_in});
  // y = x W^T  =>  dW += dy^T x
  auto dweight_matrix = matrix(dweight);
  product(matrix(dy).transpose(), matrix(x), dweight_matrix, Write::accumulate);
}

template void linear_forward<float, float>(In<float, 2>, In<float, 2>, Out<float, 2>);
template void linear_forward<float, bf16>(In<float, 2>, In<bf16, 2>, Out<float, 2>);
template void linear_forward<double, double>(In<double, 2>, In<double, 2>, Out<double, 2>);
template void linear_backward_input<float>(In<float, 2>, In<float, 2>, Out<float, 2>, Write);
template void linear_backward_input<double>(In<double, 2>, In<double, 2>, Out<double, 2>, Write);
template void linear_backward_weight<float>(In<float, 2>, In<float, 2>, Out<float, 2>);
template void linear_backward_weight<double>(In<double, 2>, In<double, 2>, Out<double, 2>);

}  // namespace dsllm::ref
