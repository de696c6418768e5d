// SwiGLU (paper, section 2.2; Shazeer 2020), the part between the matrices of the feed-forward layer.
//
//     y = silu(gate) * up        silu(g) = g * sigmoid(g) = g / (1 + exp(-g))
#pragma once

#include "ref/core/view.hpp"

namespace dsllm::ref {

// gate, up, y [n, d_ff]. y may be gate or up. Throws ShapeError.
template <class T>
void swiglu_forward(In<T, 2> gate, In<T, 2> up, Out<T, 2> y);

// dy, gate, up, dgate, dup [n, d_ff]. dgate may be gate or dy, dup may be up or dy.
// Throws ShapeError.
template <class T>
void swiglu_backward(In<T, 2> dy, In<T, 2> gate, In<T, 2> up, Out<T, 2> dgate, Out<T, 2> dup);

}  // namespace dsllm::ref
