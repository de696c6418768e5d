// Rotary position embedding, both layouts, in place (paper, section 2.2; Su et al. 2021).
//
//     angle = p * theta^(-2i / d_head)        a' = a cos - b sin        b' = a sin + b cos        backward: -sin for sin
//
//     pair i of a head     interleaved  (x_2i, x_2i+1)     halves  (x_i, x_i+d_head/2)
//
// x, y [batch, seq, heads, d_head]; cos, sin [seq, d_head / 2], float. FLOPs: 3 batch seq heads d_head. Bytes: x in, y out; for the
// queries of 2 x 4096 tokens, 32 heads of 128, in bf16, 134 MB: 40 us on an H100 (3.35 TB/s; computed, not measured).
//
// All heads at a position share their angles, which are as many bytes in float as two heads in bf16. So a block takes a
// position, and a thread takes the same pairs of several heads: it reads their cosines and sines once. That also leaves no
// division for finding out who is whose: x is the pair, y the head.
//
// Next: nothing is left of this kernel's own bytes; the whole kernel can go, if the product that makes q and k rotates its
// results before it stores them.
//
// Nobody but its thread reads a pair, and a thread has read its pairs before it writes them, so y may be x.
#include "cuda/model/rope.hpp"

#include <algorithm>
#include <string>

#include "cuda/core/kernel.hpp"
#include "cuda/core/vector.hpp"

namespace dsllm::cuda {
namespace {

// ---- angles ----

// One thread an angle. In double, as the reference does, and rounded once: at position 131,072 neighbouring floats are 0.008
// apart. The table is small (seq * d_head / 2), made once, and read by every layer.
__global__ void angles(int64_t first_position, double theta, View<float, 2> cos_table,
                       View<float, 2> sin_table) {
  const int64_t half = cos_table.extent[1], count = cos_table.extent[0] * half;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= count) return;
  const int64_t p = at / half, i = at % half;
  const double angle = static_cast<double>(first_position + p) *
                       pow(theta, -static_cast<double>(i) / static_cast<double>(half));
  cos_table.data[at] = static_cast<float>(cos(angle));
  sin_table.data[at] = static_cast<float>(sin(angle));
}

// ---- rotation ----

// Heads that a thread reads before it writes one.
constexpr int heads_at_once = 4;

// One pair at a time: any d_head, any alignment.
template <class T, RopeLayout Layout>
__global__ void rotate_pairs(View<const T, 4> x, View<const float, 2> cos, View<const float, 2> sin,
                             float direction, View<T, 4> y) {
  const int64_t batch = x.extent[0], seq = x.extent[1], heads = x.extent[2], d = x.extent[3], half = d / 2;
  for (int64_t p = blockIdx.x; p < seq; p += gridDim.x)
    for (int64_t i = threadIdx.x; i < half; i += blockDim.x) {
      const float c = cos.data[p * half + i], s = direction * sin.data[p * half + i];
      for (int64_t b = blockIdx.y; b < batch; b += gridDim.y)
        for (int64_t h = threadIdx.y; h < heads; h += blockDim.y) {
          const int64_t head = ((b * seq + p) * heads + h) * d;
          const int64_t first = head + (Layout == RopeLayout::halves ? i : 2 * i);
          const int64_t second = first + (Layout == RopeLayout::halves ? half : 1);
          const float u = x.data[first], v = x.data[second];
          y.data[first] = T(u * c - v * s);
          y.data[second] = T(u * s + v * c);
        }
    }
}

// The cosines or sines of N = 2, 4 or 8 pairs, from a multiple of 8 or 16 bytes.
template <int N>
__device__ void load_angles(const float* table, float (&angle)[N]) {
  if constexpr (N == 2) {
    const Vector<float, 8> two = load8(table);
    angle[0] = two[0];
    angle[1] = two[1];
  } else {
#pragma unroll
    for (int i = 0; i < N; i += 4) {
      const Vector<float> four = load16(table + i);
#pragma unroll
      for (int l = 0; l < 4; ++l) angle[i + l] = four[l];
    }
  }
}

// halves: a vector of 16 bytes from the first half of a head, and its partner from the second half.
template <class T>
__global__ void rotate_vectors_of_halves(View<const T, 4> x, View<const float, 2> cos,
                                         View<const float, 2> sin, float direction, View<T, 4> y) {
  constexpr int size = Vector<T>::size;
  const int64_t batch = x.extent[0], seq = x.extent[1], heads = x.extent[2], d = x.extent[3], half = d / 2;
  for (int64_t p = blockIdx.x; p < seq; p += gridDim.x)
    for (int64_t i = threadIdx.x * size; i < half; i += blockDim.x * size) {
      float c[size], s[size];
      load_angles(cos.data + p * half + i, c);
      load_angles(sin.data + p * half + i, s);
      for (int64_t b = blockIdx.y; b < batch; b += gridDim.y)
        for (int64_t h0 = threadIdx.y; h0 < heads; h0 += heads_at_once * blockDim.y) {
          const int64_t first = ((b * seq + p) * heads + h0) * d + i, stride = blockDim.y * d;
          Vector<T> u[heads_at_once], v[heads_at_once];
#pragma unroll
          for (int k = 0; k < heads_at_once; ++k)
            if (h0 + k * blockDim.y < heads) {
              u[k] = load16(x.data + first + k * stride);
              v[k] = load16(x.data + first + k * stride + half);
            }
#pragma unroll
          for (int k = 0; k < heads_at_once; ++k)
            if (h0 + k * blockDim.y < heads) {
              Vector<T> out_u, out_v;
#pragma unroll
              for (int l = 0; l < size; ++l) {
                const float sine = direction * s[l];
                out_u[l] = T(float(u[k][l]) * c[l] - float(v[k][l]) * sine);
                out_v[l] = T(float(u[k][l]) * sine + float(v[k][l]) * c[l]);
              }
              store16(y.data + first + k * stride, out_u);
              store16(y.data + first + k * stride + half, out_v);
            }
        }
    }
}

// interleaved: a vector of 16 bytes is whole pairs.
template <class T>
__global__ void rotate_vectors_interleaved(View<const T, 4> x, View<const float, 2> cos,
                                           View<const float, 2> sin, float direction, View<T, 4> y) {
  constexpr int size = Vector<T>::size, pairs = size / 2;
  const int64_t batch = x.extent[0], seq = x.extent[1], heads = x.extent[2], d = x.extent[3], half = d / 2;
  for (int64_t p = blockIdx.x; p < seq; p += gridDim.x)
    for (int64_t i = threadIdx.x * pairs; i < half; i += blockDim.x * pairs) {
      float c[pairs], s[pairs];
      load_angles(cos.data + p * half + i, c);
      load_angles(sin.data + p * half + i, s);
      for (int64_t b = blockIdx.y; b < batch; b += gridDim.y)
        for (int64_t h0 = threadIdx.y; h0 < heads; h0 += heads_at_once * blockDim.y) {
          const int64_t first = ((b * seq + p) * heads + h0) * d + 2 * i, stride = blockDim.y * d;
          Vector<T> in[heads_at_once];
#pragma unroll
          for (int k = 0; k < heads_at_once; ++k)
            if (h0 + k * blockDim.y < heads) in[k] = load16(x.data + first + k * stride);
#pragma unroll
          for (int k = 0; k < heads_at_once; ++k)
            if (h0 + k * blockDim.y < heads) {
              Vector<T> out;
#pragma unroll
              for (int l = 0; l < pairs; ++l) {
                const float u = in[k][2 * l], v = in[k][2 * l + 1], sine = direction * s[l];
                out[2 * l] = T(u * c[l] - v * sine);
                out[2 * l + 1] = T(u * sine + v * c[l]);
              }
              store16(y.data + first + k * stride, out);
            }
        }
    }
}

template <class T>
void rotate(const char* operation, In<T, 4> x, In<float, 2> cos, In<float, 2> sin, RopeLayout layout,
            float direction, Out<T, 4> y, Stream& stream) {
  constexpr int size = Vector<T>::size;
  const auto [batch, seq, heads, d] = x.extent;
  if (d % 2 != 0) throw ShapeError(operation, "an even d_head", describe_shape(x));
  const int64_t half = d / 2;
  check_shape(operation, "cos", cos, {seq, half});
  check_shape(operation, "sin", sin, {seq, half});
  check_shape(operation, "output", y, {batch, seq, heads, d});
  if (x.size() == 0) return;
  // A vector must be whole pairs, and with halves each half whole vectors; their angles then are whole vectors too.
  const bool halves = layout == RopeLayout::halves;
  const int64_t width = halves ? half : d;
  const bool vectors =
      fits16(x.data, width) && fits16(y.data, width) && fits16(cos.data, 0) && fits16(sin.data, 0);
  // A block: as many threads in x as a head has items, at most 32; in y so many that each thread has heads_at_once heads, but
  // 64 threads altogether if there are heads for them, and never more than 256.
  const int64_t items = vectors ? width / size : half;
  const int64_t across = std::min<int64_t>(items, 32);
  const int64_t down = std::max(ceil_div<int64_t>(heads, heads_at_once), std::min(heads, 64 / across));
  const LaunchShape shape{
      dim3(grid_of(seq), static_cast<unsigned>(std::min<int64_t>(batch, 65535))),
      dim3(static_cast<unsigned>(across), static_cast<unsigned>(std::min(down, 256 / across)))};
  launch(stream, shape,
         vectors ? (halves ? rotate_vectors_of_halves<T> : rotate_vectors_interleaved<T>)
                 : (halves ? rotate_pairs<T, RopeLayout::halves> : rotate_pairs<T, RopeLayout::interleaved>),
         x, cos, sin, direction, y);
}

}  // namespace

void rope_angles(int64_t first_position, double theta, View<float, 2> cos, View<float, 2> sin,
                 Stream& stream) {
  check_shape("rope_angles", "sin", sin, {cos.extent[0], cos.extent[1]});
  if (first_position < 0)
    throw ValueError("rope_angles", "a position of 0 or more", std::to_string(first_position));
  if (cos.size() == 0) return;
  constexpr int threads = 256;
  launch(stream, {grid_of(ceil_div<int64_t>(cos.size(), threads)), threads}, angles, first_position, theta,
         cos, sin);
}

template <class T>
void rope_forward(In<T, 4> x, In<float, 2> cos, In<float, 2> sin, RopeLayout layout, Out<T, 4> y,
                  Stream& stream) {
  rotate<T>("rope_forward", x, cos, sin, layout, 1, y, stream);
}

template <class T>
void rope_backward(In<T, 4> dy, In<float, 2> cos, In<float, 2> sin, RopeLayout layout, Out<T, 4> dx,
                   Stream& stream) {
  rotate<T>("rope_backward", dy, cos, sin, layout, -1, dx, stream);
}

template void rope_forward<float>(In<float, 4>, In<float, 2>, In<float, 2>, RopeLayout, Out<float, 4>,
                                  Stream&);
template void rope_forward<bf16>(In<bf16, 4>, In<float, 2>, In<float, 2>, RopeLayout, Out<bf16, 4>, Stream&);
template void rope_backward<float>(In<float, 4>, In<float, 2>, In<float, 2>, RopeLayout, Out<float, 4>,
                                   Stream&);
template void rope_backward<bf16>(In<bf16, 4>, In<float, 2>, In<float, 2>, RopeLayout, Out<bf16, 4>, Stream&);

}  // namespace dsllm::cuda
