// RMSNorm (paper, section 2.2; Zhang and Sennrich 2019).
//
//     inv_rms = 1 / sqrt(mean_j(x_j^2) + eps)        y_i = x_i * inv_rms * weight_i
#pragma once

#include "ref/core/bf16.hpp"
#include "ref/core/view.hpp"

namespace dsllm::ref {

// x [n, d], weight [d], y [n, d], inv_rms [n] (kept for the backward pass). y may be x. Throws ShapeError.
template <class T, class W = T>
void rmsnorm_forward(In<T, 2> x, In<W, 1> weight, double eps, Out<T, 2> y, Out<T, 1> inv_rms);

// dy [n, d], x [n, d] (the input), weight [d], inv_rms [n], dx [n, d], dweight [d] (accumulates). dx may be dy.
// Throws ShapeError.
template <class T>
void rmsnorm_backward(In<T, 2> dy, In<T, 2> x, In<T, 1> weight, In<T, 1> inv_rms, Out<T, 2> dx,
                      Out<T, 1> dweight);

}  // namespace dsllm::ref
