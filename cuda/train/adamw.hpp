// AdamW on a device (paper, section 2.3; ref/train/adamw.hpp has the equations). Element by element, each operation rounded
// once and in this order, so that the bits are those of the reference:
//
//     g = clip_scale * gradient
//     m = beta1 * m + one_minus_beta1 * g
//     v = beta2 * v + one_minus_beta2 * (g * g)
//     w = w - (step_size * (m / (sqrt(v) * v_scale + eps)) + decay * w)
//
// Training in mixed precision: gradient, moments and the master weights w are float; the model computes with a copy of w in
// bf16, which the same kernel writes. A step of 1e-4 of a weight is lost in bf16 (8 bits), not in the master.
//
// Nothing comes from the host but settings: the step, the rate and the scale of the clipped gradient are in device memory
// (cuda/train/lr_schedule.hpp, cuda/train/grad_clip.hpp).
#pragma once

#include "cuda/core/device.hpp"
#include "ref/core/bf16.hpp"
#include "ref/core/settings.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

// What is the same for all elements; the fields of the reference, in float.
struct AdamwCoefficients {
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
  float step_size;   // lr / (1 - beta1^step)
  float v_scale;     // 1 / sqrt(1 - beta2^step)
  float eps, decay;  // decay = lr * settings.weight_decay
};

// From step [1], which counts from 1, and lr [1]; coefficients [1]. A step below 1 and a rate below 0 or not finite, which only
// the device sees, make step_size and decay NaN, and with them the weights (m and v are updated all the same). Throws ShapeError, and ValueError for settings outside their ranges.
void adamw_coefficients(const AdamwSettings& settings, View<const int32_t, 1> step, View<const double, 1> lr,
                        View<AdamwCoefficients, 1> coefficients, Stream& stream);

// gradient, weight, m, v [n]; the last three are updated in place and none may overlap another. clip_scale [1]: 1 to leave the
// gradient as it is; NaN: nothing is updated (a gradient whose norm is not finite; cuda/train/grad_clip.hpp). decays: whether
// weight decay applies to these elements (not to the gains of norms). Any alignment; 16 bytes an access where all arrays
// begin at multiples of 16. Throws ShapeError.
void adamw_step(View<const AdamwCoefficients, 1> coefficients, View<const float, 1> clip_scale, bool decays,
                View<const float, 1> gradient, View<float, 1> weight, View<float, 1> m, View<float, 1> v,
                Stream& stream);

// The same, and copy [n] = the new weights rounded to T, float or bf16. (Where nothing is updated, of the old ones.)
template <class T>
void adamw_mixed_step(View<const AdamwCoefficients, 1> coefficients, View<const float, 1> clip_scale,
                      bool decays, View<const float, 1> gradient, View<float, 1> weight, View<float, 1> m,
                      View<float, 1> v, View<T, 1> copy, Stream& stream);

}  // namespace dsllm::cuda
