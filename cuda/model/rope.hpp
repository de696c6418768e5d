// Rotary position embedding on a device (paper, section 2.2; Su et al. 2021): ref/model/rope.hpp as kernels.
//
// Pair i of a head at position p is rotated by the angle p * theta^(-2i / d_head):
//
//     [a']   [cos -sin] [a]
//     [b'] = [sin  cos] [b]
//
// T is float or bf16; cosines and sines are float for both, and so is the arithmetic.
#pragma once

#include "cuda/core/device.hpp"
#include "ref/core/bf16.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

// Which two elements of a head are pair i: 2i and 2i + 1, or i and i + d_head / 2 (Hugging Face checkpoints).
enum class RopeLayout { interleaved, halves };

// cos, sin [n, d_head / 2] of the positions first_position .. first_position + n - 1. Angles are computed and reduced in double:
// in float they would be off by 0.008 at position 131,072. Throws ShapeError, and ValueError for a negative position.
void rope_angles(int64_t first_position, double theta, View<float, 2> cos, View<float, 2> sin,
                 Stream& stream);

// x, y [batch, seq, heads, d_head]; cos, sin [seq, d_head / 2]. y may be x. Throws ShapeError (d_head must be even).
template <class T>
void rope_forward(In<T, 4> x, In<float, 2> cos, In<float, 2> sin, RopeLayout layout, Out<T, 4> y,
                  Stream& stream);

// The transpose of a rotation is the rotation by the negative angle. dx may be dy. Throws ShapeError.
template <class T>
void rope_backward(In<T, 4> dy, In<float, 2> cos, In<float, 2> sin, RopeLayout layout, Out<T, 4> dx,
                   Stream& stream);

}  // namespace dsllm::cuda
