// What the steps of the ladder share: the arguments' shapes, and what a row's target says.
#pragma once

#include <cmath>

#include "cuda/core/kernel.hpp"
#include "ref/core/error.hpp"
#include "ref/core/settings.hpp"

namespace dsllm::cuda {

// A row's loss and its gradient are decided by three numbers: maximum and sum as below, and the logit of the target.
//     logsumexp(z) = max + log(sum)        sum = sum_j exp(z_j - max)
struct RowSum {
  float max, sum;
};

// The target's logit; NaN where the target is out of range, so that loss and gradient show it.
template <class T>
__device__ float target_logit_of(const T* row, int64_t vocab, int32_t target) {
  return target >= 0 && target < vocab ? static_cast<float>(row[target]) : NAN;
}

__device__ inline float loss_of(const RowSum& row, float target_logit) {
  return logf(row.sum) - (target_logit - row.max);
}

// scale * dloss / dz_j. factor = factor_of(...), the same for all j.
__device__ inline float factor_of(const RowSum& row, float scale, float target_logit) {
  return std::isnan(target_logit) ? NAN : scale / row.sum;
}
__device__ inline float gradient_of(float z, const RowSum& row, float factor, float scale, bool is_target) {
  return expf(z - row.max) * factor - (is_target ? scale : 0.0f);
}

// A grid has up to 2^31 - 1 blocks; the blocks of a smaller one go through the rows with its stride.
inline unsigned blocks_for_rows(int64_t n) {
  return static_cast<unsigned>(n < 0x7fffffff ? n : 0x7fffffff);
}

template <class T>
void check_cross_entropy(const char* operation, View<const T, 2> logits, View<const int32_t, 1> targets,
                         View<const float, 1> losses) {
  const int64_t n = logits.extent[0];
  check_shape(operation, "targets", targets, {n});
  check_shape(operation, "losses", losses, {n});
}

}  // namespace dsllm::cuda
