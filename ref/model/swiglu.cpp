#include "ref/model/swiglu.hpp"

#include <algorithm>

#include "ref/core/eigen.hpp"
#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"

namespace dsllm::ref {
namespace {

// Elements at a time: a whole number of vector registers, so that Eigen's vectorized exp serves every element and the
// result does not depend on where a row begins.
constexpr int64_t tile = 256;
template <class T>
using Tile = Eigen::Array<T, tile, 1>;

template <class T>
Tile<T> load(const T* from, int64_t count) {
  Tile<T> x;
  std::copy_n(from, count, x.data());
  std::fill(x.data() + count, x.data() + tile, T(0));
  return x;
}

template <class T>
Tile<T> sigmoid(const Tile<T>& x) {
  return T(1) / (T(1) + (-x).exp());
}

}  // namespace

template <class T>
void swiglu_forward(In<T, 2> gate, In<T, 2> up, Out<T, 2> y) {
  const int64_t n = gate.extent[0], d_ff = gate.extent[1];
  check_shape("swiglu_forward", "up", up, {n, d_ff});
  check_shape("swiglu_forward", "y", y, {n, d_ff});
  parallel_pieces(n * d_ff, 64 * tile, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += tile) {
      const int64_t count = std::min(tile, end - i);
      const Tile<T> g = load(gate.data + i, count), u = load(up.data + i, count);
      const Tile<T> result = g * sigmoid(g) * u;
      std::copy_n(result.data(), count, y.data + i);
    }
  });
}

template <class T>
void swiglu_backward(In<T, 2> dy, In<T, 2> gate, In<T, 2> up, Out<T, 2> dgate, Out<T, 2> dup) {
  const int64_t n = gate.extent[0], d_ff = gate.extent[1];
  check_shape("swiglu_backward", "dy", dy, {n, d_ff});
  check_shape("swiglu_backward", "up", up, {n, d_ff});
  check_shape("swiglu_backward", "dgate", dgate, {n, d_ff});
  check_shape("swiglu_backward", "dup", dup, {n, d_ff});
  parallel_pieces(n * d_ff, 64 * tile, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += tile) {
      const int64_t count = std::min(tile, end - i);
      const Tile<T> g = load(gate.data + i, count), u = load(up.data + i, count),
                    d = load(dy.data + i, count);
      // y = g s u, s = sigmoid(g), s' = s (1 - s)  =>  dy/dg = u s (1 + g (1 - s)),  dy/du = g s
      const Tile<T> s = sigmoid(g);
      const Tile<T> for_gate = d * u * s * (T(1) + g * (T(1) - s)), for_up = d * g * s;
      std::copy_n(for_gate.data(), count, dgate.data + i);
      std::copy_n(for_up.data(), count, dup.data + i);
    }
  });
}

template void swiglu_forward<float>(In<float, 2>, In<float, 2>, Out<float, 2>);
template void swiglu_forward<double>(In<double, 2>, In<double, 2>, Out<double, 2>);
template void swiglu_backward<float>(In<float, 2>, In<float, 2>, In<float, 2>, Out<float, 2>, Out<float, 2>);
template void swiglu_backward<double>(In<double, 2>, In<double, 2>, In<double, 2>, Out<double, 2>,
                                      Out<double, 2>);

}  // namespace dsllm::ref
