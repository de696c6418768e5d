// Cross-entropy of the next token on a device (the loss of section 2.4; ref/model/cross_entropy.hpp has the plain form):
//
//     loss_t = logsumexp(z_t) - z_t[target_t]        dloss_t / dz_tj = softmax(z_t)_j - [j == target_t]
//
//     logits  [n, vocab], T is float or bf16      targets  [n]      losses  [n], nats, float for both T
//
// The gradient, times scale, overwrites the logits. A position whose target is ignored_target has loss 0 and gradient 0.
// Only the device sees the targets: where one is neither ignored nor in [0, vocab), loss and gradients of that position are
// NaN and nothing else is touched. Every function throws ShapeError; outputs alias nothing; nothing is allocated.
//
// The ladder is in cuda/model/cross_entropy/; a block works on a row in all of its steps.
#pragma once

#include "cuda/core/device.hpp"
#include "ref/core/bf16.hpp"
#include "ref/core/settings.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

// 1. Three passes over a row: its maximum; the sum of exponentials; the gradient.
template <class T>
void cross_entropy_forward_three_passes(In<T, 2> logits, View<const int32_t, 1> targets,
                                        View<float, 1> losses, Stream& stream);
template <class T>
void cross_entropy_forward_backward_three_passes(Out<T, 2> logits, View<const int32_t, 1> targets,
                                                 double scale, View<float, 1> losses, Stream& stream);

// 2. Maximum and sum in one pass.
template <class T>
void cross_entropy_forward_online(In<T, 2> logits, View<const int32_t, 1> targets, View<float, 1> losses,
                                  Stream& stream);
template <class T>
void cross_entropy_forward_backward_online(Out<T, 2> logits, View<const int32_t, 1> targets, double scale,
                                           View<float, 1> losses, Stream& stream);

// 3. The same with accesses of 16 bytes, several at a time, and the gradient from the end of the row to its begin: the best of
// them, for all shapes and any alignment of rows.
template <class T>
void cross_entropy_forward(In<T, 2> logits, View<const int32_t, 1> targets, View<float, 1> losses,
                           Stream& stream);
template <class T>
void cross_entropy_forward_backward(Out<T, 2> logits, View<const int32_t, 1> targets, double scale,
                                    View<float, 1> losses, Stream& stream);

// Step 3 with one more factor for each sequence, read from device memory: logits [batch, seq, vocab] become
// scale * sequence_scale[b] * dloss / dlogits; targets, losses [batch, seq]; sequence_scale [batch]. For gradients that
// arrive on the device, as those of DPO do (cuda/align/dpo.hpp).
template <class T>
void cross_entropy_forward_backward_scaled(Out<T, 3> logits, View<const int32_t, 2> targets, double scale,
                                           View<const float, 1> sequence_scale, View<float, 2> losses,
                                           Stream& stream);

}  // namespace dsllm::cuda
