// Linear layer without a bias (paper, section 2.2: the model has none). The weight is [d_out, d_in], as in checkpoints.
//
// Every function throws ShapeError; outputs alias nothing.
#pragma once

#include "ref/core/bf16.hpp"
#include "ref/core/view.hpp"

namespace dsllm::ref {

// y = x W^T.   x [n, d_in], weight W [d_out, d_in], y [n, d_out].
// With bf16 weights the products and sums are float.
template <class T, class W = T>
void linear_forward(In<T, 2> x, In<W, 2> weight, Out<T, 2> y);

// Whether a gradient replaces what its output holds or is added to it.
enum class Write { overwrite, accumulate };

// dx = dy W.   dy [n, d_out], weight [d_out, d_in], dx [n, d_in].
template <class T>
void linear_backward_input(In<T, 2> dy, In<T, 2> weight, Out<T, 2> dx, Write write = Write::overwrite);

// dW += dy^T x.   dy [n, d_out], x [n, d_in], dweight [d_out, d_in] (accumulates).
template <class T>
void linear_backward_weight(In<T, 2> dy, In<T, 2> x, Out<T, 2> dweight);

}  // namespace dsllm::ref
