// AdamW (paper, section 2.3: beta1 = 0.9, beta2 = 0.95, weight decay 0.1; Loshchilov and Hutter 2019).
//
// With the gradient g of step t = 1, 2, ..., element by element:
//
//     m = beta1 m + (1 - beta1) g                      first moment
//     v = beta2 v + (1 - beta2) g^2                    second moment
//     m^ = m / (1 - beta1^t)    v^ = v / (1 - beta2^t) the moments begin at 0: this takes out the bias
//     w = w - lr (m^ / (sqrt(v^) + eps) + weight_decay w)
//
// The decay is decoupled: it does not pass through the moments. As in most programs it is multiplied by lr (Loshchilov and
// Hutter write a schedule of its own in its place).
#pragma once

#include <cstdint>

#include "ref/core/view.hpp"
#include "ref/model/engine.hpp"

namespace dsllm::ref {

// The update above with everything that is the same for all elements computed once, in double, and rounded to T. Then
// each element costs these operations, in this order, each rounded once, so that a kernel in float gives the same bits:
//
//     m = beta1 * m + one_minus_beta1 * g
//     v = beta2 * v + one_minus_beta2 * (g * g)
//     w = w - (step_size * (m / (sqrt(v) * v_scale + eps)) + decay * w)
template <class T>
struct AdamwCoefficients {
  T beta1, one_minus_beta1, beta2, one_minus_beta2;
  T step_size;   // lr / (1 - beta1^t)
  T v_scale;     // 1 / sqrt(1 - beta2^t)
  T eps, decay;  // decay = lr * weight_decay

  // Throws ValueError unless step >= 1, lr >= 0, weight_decay >= 0, 0 <= beta < 1 and eps > 0, all finite.
  AdamwCoefficients(const AdamwSettings& settings, double lr, int64_t step, double weight_decay);
};

// gradient, weight, m, v [n]; the last three are updated in place and none may overlap another. weight_decay is that of
// these elements (settings.weight_decay, or 0 for the gains of norms). Throws ShapeError, ValueError.
template <class T>
void adamw_step(const AdamwSettings& settings, double lr, int64_t step, In<T, 1> gradient, Out<T, 1> weight,
                Out<T, 1> m, Out<T, 1> v, double weight_decay);

}  // namespace dsllm::ref
