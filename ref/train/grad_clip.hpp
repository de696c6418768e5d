// Clipping the gradient by its global norm (paper, section 2.3: at 1.0; Pascanu et al. 2013).
//
//     norm = sqrt(sum_i g_i^2)  over all parameters        g = g * max_norm / norm   if norm > max_norm
#pragma once

#include "ref/core/view.hpp"

namespace dsllm::ref {

// The norm, summed in double over pieces of fixed size, so that it does not depend on the number of threads. Infinite or
// NaN if an element is, and infinite if a sum of squares overflows a double. Called as global_norm<float>(g).
template <class T>
double global_norm(In<T, 1> gradient);

// Scales `gradient` to the norm max_norm if its norm is larger, each element rounded once, by a factor that is rounded to
// T; returns the norm before. A norm that is not finite is returned as it is and nothing is scaled: no factor mends such
// a gradient, and the trainer stops. Throws ValueError unless max_norm > 0 (infinity: never clip).
template <class T>
double grad_clip(double max_norm, Out<T, 1> gradient);

}  // namespace dsllm::ref
