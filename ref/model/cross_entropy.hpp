// Cross-entropy of the next token (the loss of section 2.4), in place.
//
//     loss_t = logsumexp(z_t) - z_t[target_t]        dloss_t / dz_tj = softmax(z_t)_j - [j == target_t]
//
// The logits are the largest activation of a small model, so the gradient overwrites them. A position whose target is
// ignored_target has loss 0 and gradient 0.
#pragma once

#include <type_traits>

#include "ref/core/bf16.hpp"
#include "ref/core/settings.hpp"
#include "ref/core/view.hpp"

namespace dsllm::ref {

using dsllm::ignored_target;

// The type in which a T is summed: float for bf16.
template <class T>
using Sum = std::conditional_t<std::is_same_v<T, bf16>, float, T>;

// logits [n, vocab], targets [n], losses [n] (nats). T is float, double or bf16. Throws ShapeError, and ValueError for
// a target that is neither ignored nor in [0, vocab), before anything is written.
// Called as cross_entropy_forward<float>(...).
template <class T>
void cross_entropy_forward(In<T, 2> logits, View<const int32_t, 1> targets, Out<Sum<T>, 1> losses);

// The same, and logits become scale * dloss / dlogits. For the mean over m positions, scale = 1 / m.
template <class T>
void cross_entropy_forward_backward(Out<T, 2> logits, View<const int32_t, 1> targets, double scale,
                                    Out<Sum<T>, 1> losses);

}  // namespace dsllm::ref
