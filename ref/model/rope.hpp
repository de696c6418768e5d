// Rotary position embedding (paper, section 2.2; Su et al. 2021).
//
// Pair i of a head at position p is rotated by the angle p * theta^(-2i / d_head):
//
//     [a']   [cos -sin] [a]
//     [b'] = [sin  cos] [b]
//
// so that the product of a query at p and a key at r depends on p - r only. Which two elements are pair i differs:
// `interleaved` (the RoPE paper): 2i and 2i + 1; `halves` (Hugging Face checkpoints): i and i + d_head / 2.
#pragma once

#include "ref/core/view.hpp"

namespace dsllm::ref {

enum class RopeLayout { interleaved, halves };

// cos, sin [n, d_head / 2] of the positions first_position .. first_position + n - 1. The angle is computed and
// reduced in double: in float it would be off by 0.008 at position 131,072. Throws ValueError for a negative position.
template <class T>
void rope_angles(int64_t first_position, double theta, Out<T, 2> cos, Out<T, 2> sin);

// x, y [batch, seq, heads, d_head]; cos, sin [seq, d_head / 2]. y may be x. Throws ShapeError (d_head must be even).
template <class T>
void rope_forward(In<T, 4> x, In<T, 2> cos, In<T, 2> sin, RopeLayout layout, Out<T, 4> y);

// The transpose of a rotation is the rotation by the negative angle. dx may be dy. Throws ShapeError.
template <class T>
void rope_backward(In<T, 4> dy, In<T, 2> cos, In<T, 2> sin, RopeLayout layout, Out<T, 4> dx);

// Reorders the rows of a query or key projection, weight [heads * d_head, d_in], so that a model with layout `to`
// computes what the model with layout `from` did. converted must not overlap weight. Throws
// ShapeError unless the rows make `heads` heads of even width.
template <class T>
void rope_convert_weight(In<T, 2> weight, int64_t heads, RopeLayout from, RopeLayout to, Out<T, 2> converted);

}  // namespace dsllm::ref
