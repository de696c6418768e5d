// SwiGLU, step 2: 16 bytes a thread.
//
//     y = silu(gate) * up        silu(g) = g * sigmoid(g) = g / (1 + exp(-g))                    (paper, section 2.2)
//
// gate, up, y, dy, dgate, dup [n, d_ff]. The grid is parallel over vectors of 4 floats or 8 bf16 numbers; one thread more takes
// the elements that are left when n d_ff is no multiple. FLOPs, with exp and division as one each: 5 n d_ff forward, 11 n d_ff
// backward. Bytes: two arrays in, one out; backward three in, two out. For n = 8192, d_ff = 11008 in bf16 that is 541 MB and 902
// MB: 162 us and 269 us on an H100 (3.35 TB/s; computed, not measured).
//
// A thread has read all that it needs before it writes, so that y may be gate or up. What would still save bytes is to
// compute this inside the matrix products on both sides of it.
#include "cuda/core/vector.hpp"
#include "cuda/model/swiglu.hpp"
#include "cuda/model/swiglu/element.hpp"

namespace dsllm::cuda {
namespace {

constexpr int threads = 256;

template <class T>
__global__ void forward_vectors(View<const T, 1> gate, View<const T, 1> up, View<T, 1> y) {
  constexpr int size = Vector<T>::size;
  const int64_t n = y.extent[0], vectors = n / size;
  const int64_t v = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (v < vectors) {
    const Vector<T> g = load16(gate.data + v * size), u = load16(up.data + v * size);
    Vector<T> out;
#pragma unroll
    for (int i = 0; i < size; ++i) out[i] = T(swiglu::forward(g[i], u[i]));
    store16(y.data + v * size, out);
  } else if (v == vectors) {
    for (int64_t i = v * size; i < n; ++i) y.data[i] = T(swiglu::forward(gate.data[i], up.data[i]));
  }
}

template <class T>
__global__ void backward_vectors(View<const T, 1> dy, View<const T, 1> gate, View<const T, 1> up,
                                 View<T, 1> dgate, View<T, 1> dup) {
  constexpr int size = Vector<T>::size;
  const int64_t n = dgate.extent[0], vectors = n / size;
  const int64_t v = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (v < vectors) {
    const Vector<T> d = load16(dy.data + v * size), g = load16(gate.data + v * size),
                    u = load16(up.data + v * size);
    Vector<T> for_gate, for_up;
#pragma unroll
    for (int i = 0; i < size; ++i) {
      const swiglu::Gradients both = swiglu::backward(d[i], g[i], u[i]);
      for_gate[i] = T(both.gate);
      for_up[i] = T(both.up);
    }
    store16(dgate.data + v * size, for_gate);
    store16(dup.data + v * size, for_up);
  } else if (v == vectors) {
    for (int64_t i = v * size; i < n; ++i) {
      const swiglu::Gradients both = swiglu::backward(dy.data[i], gate.data[i], up.data[i]);
      dgate.data[i] = T(both.gate);
      dup.data[i] = T(both.up);
    }
  }
}

// Whether the arrays begin at multiples of 16 bytes. The length of a row does not matter, since rows follow each other.
template <class... P>
bool aligned(const P*... begin) {
  return (fits16(begin, 0) && ...);
}

template <class T>
LaunchShape shape_for(int64_t n) {
  return {grid_of(n / Vector<T>::size / threads + 1), threads};
}

constexpr const char* what_is_expected = "arrays that begin at multiples of 16 bytes";

}  // namespace

template <class T>
void swiglu_forward_vectors(In<T, 2> gate, In<T, 2> up, Out<T, 2> y, Stream& stream) {
  swiglu::check_forward<T>("swiglu_forward_vectors", gate, up, y);
  if (!aligned(gate.data, up.data, y.data))
    throw ShapeError("swiglu_forward_vectors", what_is_expected, "others");
  if (y.size() == 0) return;
  launch(stream, shape_for<T>(y.size()), forward_vectors<T>, gate.flat(), up.flat(), y.flat());
}

template <class T>
void swiglu_backward_vectors(In<T, 2> dy, In<T, 2> gate, In<T, 2> up, Out<T, 2> dgate, Out<T, 2> dup,
                             Stream& stream) {
  swiglu::check_backward<T>("swiglu_backward_vectors", dy, gate, up, dgate, dup);
  if (!aligned(dy.data, gate.data, up.data, dgate.data, dup.data))
    throw ShapeError("swiglu_backward_vectors", what_is_expected, "others");
  if (dy.size() == 0) return;
  launch(stream, shape_for<T>(dy.size()), backward_vectors<T>, dy.flat(), gate.flat(), up.flat(),
         dgate.flat(), dup.flat());
}

template <class T>
void swiglu_forward(In<T, 2> gate, In<T, 2> up, Out<T, 2> y, Stream& stream) {
  swiglu::check_forward<T>("swiglu_forward", gate, up, y);
  if (aligned(gate.data, up.data, y.data))
    swiglu_forward_vectors<T>(gate, up, y, stream);
  else
    swiglu_forward_scalar<T>(gate, up, y, stream);
}

template <class T>
void swiglu_backward(In<T, 2> dy, In<T, 2> gate, In<T, 2> up, Out<T, 2> dgate, Out<T, 2> dup,
                     Stream& stream) {
  swiglu::check_backward<T>("swiglu_backward", dy, gate, up, dgate, dup);
  if (aligned(dy.data, gate.data, up.data, dgate.data, dup.data))
    swiglu_backward_vectors<T>(dy, gate, up, dgate, dup, stream);
  else
    swiglu_backward_scalar<T>(dy, gate, up, dgate, dup, stream);
}

template void swiglu_forward_vectors<float>(In<float, 2>, In<float, 2>, Out<float, 2>, Stream&);
template void swiglu_forward_vectors<bf16>(In<bf16, 2>, In<bf16, 2>, Out<bf16, 2>, Stream&);
template void swiglu_backward_vectors<float>(In<float, 2>, In<float, 2>, In<float, 2>, Out<float, 2>,
                                             Out<float, 2>, Stream&);
template void swiglu_backward_vectors<bf16>(In<bf16, 2>, In<bf16, 2>, In<bf16, 2>, Out<bf16, 2>, Out<bf16, 2>,
                                            Stream&);
template void swiglu_forward<float>(In<float, 2>, In<float, 2>, Out<float, 2>, Stream&);
template void swiglu_forward<bf16>(In<bf16, 2>, In<bf16, 2>, Out<bf16, 2>, Stream&);
template void swiglu_backward<float>(In<float, 2>, In<float, 2>, In<float, 2>, Out<float, 2>, Out<float, 2>,
                                     Stream&);
template void swiglu_backward<bf16>(In<bf16, 2>, In<bf16, 2>, In<bf16, 2>, Out<bf16, 2>, Out<bf16, 2>,
                                    Stream&);

}  // namespace dsllm::cuda
