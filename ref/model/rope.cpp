#include "ref/model/rope.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"

namespace dsllm::ref {
namespace {

// Where the two elements of pair i lie in a head.
struct Pair {
  int64_t a, b;
};
Pair pair_of(int64_t i, int64_t d_head, RopeLayout layout) {
  if (layout == RopeLayout::interleaved) return {2 * i, 2 * i + 1};
  return {i, i + d_head / 2};
}

// y = rotation of x by direction * angle; direction is 1 or -1.
template <class T>
void rotate(const char* operation, In<T, 4> x, In<T, 2> cos, In<T, 2> sin, RopeLayout layout, T direction,
            Out<T, 4> y) {
  const auto [batch, seq, heads, d_head] = x.extent;
  if (d_head % 2 != 0) throw ShapeError(operation, "an even d_head", describe_shape(x));
  check_shape(operation, "cos", cos, {seq, d_head / 2});
  check_shape(operation, "sin", sin, {seq, d_head / 2});
  check_shape(operation, "output", y, {batch, seq, heads, d_head});
  const int64_t n_heads = heads, width = d_head, length = seq;
  parallel_pieces(batch * seq, 64, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const T* c = cos.data + t % length * (width / 2);
      const T* s = sin.data + t % length * (width / 2);
      for (int64_t h = 0; h < n_heads; ++h) {
        const T* in = x.data + (t * n_heads + h) * width;
        T* out = y.data + (t * n_heads + h) * width;
        for (int64_t i = 0; i < width / 2; ++i) {
          const Pair at = pair_of(i, width, layout);
          const T a = in[at.a], b = in[at.b], sine = direction * s[i];
          out[at.a] = a * c[i] - b * sine;
          out[at.b] = a * sine + b * c[i];
        }
      }
    }
  });
}

}  // namespace

template <class T>
void rope_angles(int64_t first_position, double theta, Out<T, 2> cos, Out<T, 2> sin) {
  const int64_t n = cos.extent[0], half = cos.extent[1];
  check_shape("rope_angles", "sin", sin, {n, half});
  if (first_position < 0)
    throw ValueError("rope_angles", "a position of 0 or more", fmt::to_string(first_position));
  for (int64_t p = 0; p < n; ++p)
    for (int64_t i = 0; i < half; ++i) {
      const double frequency = std::pow(theta, -static_cast<double>(i) / static_cast<double>(half));
      const double angle = static_cast<double>(first_position + p) * frequency;
      cos(p, i) = static_cast<T>(std::cos(angle));
      sin(p, i) = static_cast<T>(std::sin(angle));
    }
}

template <class T>
void rope_forward(In<T, 4> x, In<T, 2> cos, In<T, 2> sin, RopeLayout layout, Out<T, 4> y) {
  rotate<T>("rope_forward", x, cos, sin, layout, T(1), y);
}

template <class T>
void rope_backward(In<T, 4> dy, In<T, 2> cos, In<T, 2> sin, RopeLayout layout, Out<T, 4> dx) {
  rotate<T>("rope_backward", dy, cos, sin, layout, T(-1), dx);
}

template <class T>
void rope_convert_weight(In<T, 2> weight, int64_t heads, RopeLayout from, RopeLayout to,
                         Out<T, 2> converted) {
  const int64_t rows = weight.extent[0], d_in = weight.extent[1];
  if (heads <= 0 || rows % (2 * heads) != 0)
    throw ShapeError("rope_convert_weight", fmt::format("rows that make {} heads of even width", heads),
                     describe_shape(weight));
  check_shape("rope_convert_weight", "converted", converted, {rows, d_in});
  const int64_t d_head = rows / heads;
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t i = 0; i < d_head / 2; ++i) {
      const Pair source = pair_of(i, d_head, from), target = pair_of(i, d_head, to);
      const auto copy_row = [&](int64_t a, int64_t b) {
        std::copy_n(weight.data + (h * d_head + a) * d_in, d_in, converted.data + (h * d_head + b) * d_in);
      };
      copy_row(source.a, target.a);
      copy_row(source.b, target.b);
    }
}

template void rope_angles<float>(int64_t, double, Out<float, 2>, Out<float, 2>);
template void rope_angles<double>(int64_t, double, Out<double, 2>, Out<double, 2>);
template void rope_forward<float>(In<float, 4>, In<float, 2>, In<float, 2>, RopeLayout, Out<float, 4>);
template void rope_forward<double>(In<double, 4>, In<double, 2>, In<double, 2>, RopeLayout, Out<double, 4>);
template void rope_backward<float>(In<float, 4>, In<float, 2>, In<float, 2>, RopeLayout, Out<float, 4>);
template void rope_backward<double>(In<double, 4>, In<double, 2>, In<double, 2>, RopeLayout, Out<double, 4>);
template void rope_convert_weight<float>(In<float, 2>, int64_t, RopeLayout, RopeLayout, Out<float, 2>);
template void rope_convert_weight<double>(In<double, 2>, int64_t, RopeLayout, RopeLayout, Out<double, 2>);

}  // namespace dsllm::ref
