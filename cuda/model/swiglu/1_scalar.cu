// SwiGLU, step 1: one element a thread.
//
//     y = silu(gate) * up        silu(g) = g * sigmoid(g) = g / (1 + exp(-g))                    (paper, section 2.2)
//
// gate, up, y, dy, dgate, dup [n, d_ff]. The grid is parallel over all elements. FLOPs, with exp and division as one each: 5
// n d_ff forward, 11 n d_ff backward. Bytes: two arrays in, one out; backward three in, two out. For n = 8192, d_ff = 11008 in bf16
// that is 541 MB and 902 MB: 162 us and 269 us on an H100 (3.35 TB/s; computed, not measured).
//
// Reads and writes of a warp are neighbours. But in bf16 it asks for 64 bytes with each instruction, so the instructions that
// compute addresses and wait outnumber those that compute. Step 2 lets a thread take 16 bytes.
#include "cuda/model/swiglu.hpp"
#include "cuda/model/swiglu/element.hpp"

namespace dsllm::cuda {
namespace {

constexpr int threads = 256;

template <class T>
__global__ void forward_scalar(View<const T, 1> gate, View<const T, 1> up, View<T, 1> y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (i < y.extent[0]) y.data[i] = T(swiglu::forward(gate.data[i], up.data[i]));
}

template <class T>
__global__ void backward_scalar(View<const T, 1> dy, View<const T, 1> gate, View<const T, 1> up,
                                View<T, 1> dgate, View<T, 1> dup) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (i >= dgate.extent[0]) return;
  const swiglu::Gradients d = swiglu::backward(dy.data[i], gate.data[i], up.data[i]);
  dgate.data[i] = T(d.gate);
  dup.data[i] = T(d.up);
}

}  // namespace

template <class T>
void swiglu_forward_scalar(In<T, 2> gate, In<T, 2> up, Out<T, 2> y, Stream& stream) {
  swiglu::check_forward<T>("swiglu_forward_scalar", gate, up, y);
  if (y.size() == 0) return;
  launch(stream, {grid_of(ceil_div<int64_t>(y.size(), threads)), threads}, forward_scalar<T>, gate.flat(),
         up.flat(), y.flat());
}

template <class T>
void swiglu_backward_scalar(In<T, 2> dy, In<T, 2> gate, In<T, 2> up, Out<T, 2> dgate, Out<T, 2> dup,
                            Stream& stream) {
  swiglu::check_backward<T>("swiglu_backward_scalar", dy, gate, up, dgate, dup);
  if (dy.size() == 0) return;
  launch(stream, {grid_of(ceil_div<int64_t>(dy.size(), threads)), threads}, backward_scalar<T>, dy.flat(),
         gate.flat(), up.flat(), dgate.flat(), dup.flat());
}

template void swiglu_forward_scalar<float>(In<float, 2>, In<float, 2>, Out<float, 2>, Stream&);
template void swiglu_forward_scalar<bf16>(In<bf16, 2>, In<bf16, 2>, Out<bf16, 2>, Stream&);
template void swiglu_backward_scalar<float>(In<float, 2>, In<float, 2>, In<float, 2>, Out<float, 2>,
                                            Out<float, 2>, Stream&);
template void swiglu_backward_scalar<bf16>(In<bf16, 2>, In<bf16, 2>, In<bf16, 2>, Out<bf16, 2>, Out<bf16, 2>,
                                           Stream&);

}  // namespace dsllm::cuda
