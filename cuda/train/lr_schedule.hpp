// The learning rate of a step, on a device (paper, section 2.3; ref/train/lr_schedule.hpp has the formulas).
//
// The number of the step is read from device memory and the rate is left there, so that a step of training can be queued, or
// recorded once as a graph and replayed, without the host saying or waiting for anything.
#pragma once

#include "cuda/core/device.hpp"
#include "ref/core/settings.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

// At most so many drops of a multi-step schedule: they travel as an argument of the kernel.
inline constexpr int max_lr_stages = 16;

// rates[i] = the rate of step steps[i], both [n]; in training n is 1. T is double or float: computed in double with every
// operation rounded once, so that the bits are those of the reference. A step outside 1 .. total_steps, which only the
// device sees, has the rate NaN. The schedule must be valid (LrSchedule::validate). Throws ShapeError, and ValueError for
// more than max_lr_stages stages.
template <class T>
void learning_rate(const LrSchedule& schedule, int64_t total_steps, View<const int32_t, 1> steps,
                   View<T, 1> rates, Stream& stream);

// steps[0] += 1: the counter of a run, at the begin of a step. Throws ShapeError unless steps is [1].
void next_step(View<int32_t, 1> steps, Stream& stream);

}  // namespace dsllm::cuda
