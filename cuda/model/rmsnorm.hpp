// RMSNorm on a device (paper, section 2.2; Zhang and Sennrich 2019): ref/model/rmsnorm.hpp as kernels.
//
//     inv_rms = 1 / sqrt(mean_j(x_j^2) + eps)        y_i = x_i * inv_rms * weight_i
//
// The steps of the ladder lie in cuda/model/rmsnorm/, one file each. Each is a function of its own and right for all shapes
// that it takes; the function without a suffix takes the best of them for a shape. T is float or bf16; all arithmetic is in
// float, and so are inv_rms and the gradient of the weight. All throw ShapeError.
#pragma once

#include "cuda/core/device.hpp"
#include "ref/core/bf16.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

// x [n, d], weight [d], y [n, d], inv_rms [n] (kept for the backward pass). y may be x.
template <class T>
void rmsnorm_forward(In<T, 2> x, In<T, 1> weight, double eps, Out<T, 2> y, Out<float, 1> inv_rms,
                     Stream& stream);
// Step 1: one thread a row.
template <class T>
void rmsnorm_forward_thread_per_row(In<T, 2> x, In<T, 1> weight, double eps, Out<T, 2> y,
                                    Out<float, 1> inv_rms, Stream& stream);
// Step 2: one block a row; its threads add up their parts with shuffles.
template <class T>
void rmsnorm_forward_block_per_row(In<T, 2> x, In<T, 1> weight, double eps, Out<T, 2> y,
                                   Out<float, 1> inv_rms, Stream& stream);
// Step 3: the row is read once, 16 bytes at a time, and stays in registers. Only where rows fit: d a multiple of 16 bytes and
// at most 32 KiB long, x, weight and y at multiples of 16 bytes; else it throws ShapeError.
template <class T>
void rmsnorm_forward_registers(In<T, 2> x, In<T, 1> weight, double eps, Out<T, 2> y, Out<float, 1> inv_rms,
                               Stream& stream);

// Step 4, between two layers of a block of the transformer: h = x + residual, y = rmsnorm(h) in one pass.
// x, residual, h, y [n, d], weight [d], inv_rms [n]. y is computed from the sum in float, before h is rounded to T.
// h may be x or residual; y may be x or residual if h is not the same one.
template <class T>
void rmsnorm_residual_forward(In<T, 2> x, In<T, 2> residual, In<T, 1> weight, double eps, Out<T, 2> h,
                              Out<T, 2> y, Out<float, 1> inv_rms, Stream& stream);

// The working memory of the backward pass is partial [rmsnorm_backward_parts(n), d], floats: sums of the weight's gradient
// over parts of the rows. Their number depends on n alone, not on the GPU, and with it the bits of dweight.
constexpr int64_t rmsnorm_backward_parts(int64_t n) {
  return n < 264 ? n : 264;  // two blocks for each multiprocessor of an H100
}

// dy [n, d], x [n, d] (the input), weight [d], inv_rms [n], dx [n, d], dweight [d] (accumulates). dx may be dy.
template <class T>
void rmsnorm_backward(In<T, 2> dy, In<T, 2> x, In<T, 1> weight, In<float, 1> inv_rms, Out<T, 2> dx,
                      Out<float, 1> dweight, Out<float, 2> partial, Stream& stream);
// Step 5: dweight in two stages, then dx; each reads dy and x.
template <class T>
void rmsnorm_backward_two_stages(In<T, 2> dy, In<T, 2> x, In<T, 1> weight, In<float, 1> inv_rms, Out<T, 2> dx,
                                 Out<float, 1> dweight, Out<float, 2> partial, Stream& stream);
// Step 6: dy and x are read once for both. Only where rows fit: as in step 3, and d at most 8192.
template <class T>
void rmsnorm_backward_registers(In<T, 2> dy, In<T, 2> x, In<T, 1> weight, In<float, 1> inv_rms, Out<T, 2> dx,
                                Out<float, 1> dweight, Out<float, 2> partial, Stream& stream);

}  // namespace dsllm::cuda
