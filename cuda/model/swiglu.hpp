// SwiGLU on a device (paper, section 2.2; Shazeer 2020): ref/model/swiglu.hpp as kernels.
//
//     y = silu(gate) * up        silu(g) = g * sigmoid(g) = g / (1 + exp(-g))
//
// T is float or bf16; the arithmetic is in float. The functions without a suffix take the best step that the addresses allow.
// All throw ShapeError.
#pragma once

#include "cuda/core/device.hpp"
#include "ref/core/bf16.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

// gate, up, y [n, d_ff]. y may be gate or up.
template <class T>
void swiglu_forward(In<T, 2> gate, In<T, 2> up, Out<T, 2> y, Stream& stream);
// Step 1: one element a thread.
template <class T>
void swiglu_forward_scalar(In<T, 2> gate, In<T, 2> up, Out<T, 2> y, Stream& stream);
// Step 2: 16 bytes a thread. Throws ShapeError unless all three begin at multiples of 16 bytes.
template <class T>
void swiglu_forward_vectors(In<T, 2> gate, In<T, 2> up, Out<T, 2> y, Stream& stream);

// dy, gate, up, dgate, dup [n, d_ff]. dgate may be gate or dy, dup may be up or dy.
template <class T>
void swiglu_backward(In<T, 2> dy, In<T, 2> gate, In<T, 2> up, Out<T, 2> dgate, Out<T, 2> dup, Stream& stream);
template <class T>
void swiglu_backward_scalar(In<T, 2> dy, In<T, 2> gate, In<T, 2> up, Out<T, 2> dgate, Out<T, 2> dup,
                            Stream& stream);
template <class T>
void swiglu_backward_vectors(In<T, 2> dy, In<T, 2> gate, In<T, 2> up, Out<T, 2> dgate, Out<T, 2> dup,
                             Stream& stream);

}  // namespace dsllm::cuda
