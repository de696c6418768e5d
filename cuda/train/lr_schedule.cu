// The learning rate of a step (paper, section 2.3).
//
//     warm-up     s <= W     max_lr s / W
//     multi-step  s > W      max_lr * factor of the last stage that begins before s
//     cosine      s > W      max_lr (r + (1 - r) (1 + cos(pi (s - W) / (S - W))) / 2)
//
//     steps, rates [n]
//
// Parallel over: steps, one thread each; in training there is one.
// Bytes and FLOPs: none to speak of. What counts is that nothing goes to the host: who copies a number to it and waits lets the
// device run dry until the next launch arrives.
//
// Bit for bit as on a CPU. The reference computes in double on a host that does not join products and sums; nvcc joins them
// unless told otherwise, and CUDA's cos is not glibc's. So each operation here is one that rounds once, and the cosine is
// ours, of such operations alone (ref/core/portable_math.hpp). Divisions are rounded correctly on both.
#include <string>

#include <cmath>

#include "cuda/core/kernel.hpp"
#include "cuda/train/lr_schedule.hpp"
#include "ref/core/error.hpp"
#include "ref/core/portable_math.hpp"

namespace dsllm::cuda {
namespace {

// The schedule of one run as a kernel's argument: steps in place of fractions.
struct Curve {
  LrSchedule::Shape shape;
  double max_lr, min_ratio;
  int64_t warmup_steps, total_steps;
  int stages;
  int64_t last_before[max_lr_stages];  // the stage holds for steps after this one
  double factor[max_lr_stages];
};

__device__ double rate_of(const Curve& c, int64_t step) {
  if (step < 1 || step > c.total_steps) return NAN;
  if (step <= c.warmup_steps)
    return rounded_product(c.max_lr, static_cast<double>(step)) / static_cast<double>(c.warmup_steps);
  if (c.shape == LrSchedule::Shape::cosine) {
    const double progress =
        static_cast<double>(step - c.warmup_steps) / static_cast<double>(c.total_steps - c.warmup_steps);
    const double wave = rounded_sum(1, cos_pi(progress)) / 2;
    return rounded_product(c.max_lr, rounded_sum(c.min_ratio, rounded_product(1 - c.min_ratio, wave)));
  }
  double factor = 1;
  for (int i = 0; i < c.stages; ++i)
    if (step > c.last_before[i]) factor = c.factor[i];
  return rounded_product(c.max_lr, factor);
}

template <class T>
__global__ void rates_of_steps(Curve curve, View<const int32_t, 1> steps, View<T, 1> rates) {
  const int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (i < steps.extent[0]) rates.data[i] = static_cast<T>(rate_of(curve, steps.data[i]));
}

__global__ void add_one(View<int32_t, 1> steps) {
  steps.data[0] += 1;
}

}  // namespace

template <class T>
void learning_rate(const LrSchedule& schedule, int64_t total_steps, View<const int32_t, 1> steps,
                   View<T, 1> rates, Stream& stream) {
  const int64_t n = steps.extent[0];
  check_shape("learning_rate", "rates", rates, {n});
  if (schedule.stages.size() > max_lr_stages)
    throw ValueError("learning_rate", "at most " + std::to_string(max_lr_stages) + " stages",
                     std::to_string(schedule.stages.size()));
  Curve curve{};
  curve.shape = schedule.shape;
  curve.max_lr = schedule.max_lr;
  curve.min_ratio = schedule.min_ratio;
  curve.warmup_steps = schedule.warmup_steps;
  curve.total_steps = total_steps;
  for (const LrStage& stage : schedule.stages) {
    curve.last_before[curve.stages] = steps_before(stage.fraction, total_steps);
    curve.factor[curve.stages++] = stage.factor;
  }
  if (n > 0)
    launch(stream, {static_cast<unsigned>(ceil_div(n, int64_t{128})), 128}, rates_of_steps<T>, curve, steps,
           rates);
}

void next_step(View<int32_t, 1> steps, Stream& stream) {
  check_shape("next_step", "steps", steps, {1});
  launch(stream, {1, 1}, add_one, steps);
}

template void learning_rate<float>(const LrSchedule&, int64_t, View<const int32_t, 1>, View<float, 1>,
                                   Stream&);
template void learning_rate<double>(const LrSchedule&, int64_t, View<const int32_t, 1>, View<double, 1>,
                                    Stream&);

}  // namespace dsllm::cuda
