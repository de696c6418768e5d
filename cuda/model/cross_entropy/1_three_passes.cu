// Cross-entropy, step 1: as it is written down, one pass over the row for each of maximum, sum and gradient (paper, 2.4).
//
//     max = max_j z_j      sum = sum_j exp(z_j - max)      loss = log(sum) - (z_target - max)
//     z_j <- scale (exp(z_j - max) / sum - [j == target])
//
//     logits [n, vocab], targets [n], losses [n]
//
// Parallel over: rows, one block each; the threads of a block share the row, neighbours on neighbouring logits, so that a warp
// reads 128 bytes in a row of floats.
// FLOPs: about 7 n vocab, of which 2 n vocab are exponentials.
// Bytes: three reads and one write of the logits. For a batch of 4096 tokens of the 7B model (vocab 102,400) in bf16 they are
// 0.84 GB, so 3.4 GB or 1.0 ms of an H100's 3.35 TB/s. The least that an operation in place can move is one read and one
// write, 0.50 ms. (Floors by arithmetic. A row of 200 KB is too long for registers, but the later passes find some of it in L2.)
// Next step: maximum and sum in one pass.
#include "cuda/core/reduce.hpp"
#include "cuda/model/cross_entropy.hpp"
#include "cuda/model/cross_entropy/row.hpp"

namespace dsllm::cuda {
namespace {

constexpr int threads = 512;

template <class T>
__device__ RowSum sum_row(const T* row, int64_t vocab) {
  RowSum r{-INFINITY, 0};
  for (int64_t j = threadIdx.x; j < vocab; j += threads) r.max = fmaxf(r.max, static_cast<float>(row[j]));
  r.max = block_max<threads>(r.max);
  for (int64_t j = threadIdx.x; j < vocab; j += threads) r.sum += expf(static_cast<float>(row[j]) - r.max);
  r.sum = block_sum<threads>(r.sum);
  return r;
}

template <class T>
__global__ void __launch_bounds__(threads)
    losses_three_passes(View<const T, 2> logits, View<const int32_t, 1> targets, View<float, 1> losses) {
  const int64_t n = logits.extent[0], vocab = logits.extent[1];
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    const T* row = logits.data + t * vocab;
    const int32_t target = targets.data[t];
    if (target == ignored_target) {  // the same for the whole block, so nobody misses a barrier
      if (threadIdx.x == 0) losses.data[t] = 0;
      continue;
    }
    const RowSum r = sum_row(row, vocab);
    if (threadIdx.x == 0) losses.data[t] = loss_of(r, target_logit_of(row, vocab, target));
  }
}

// The race on the target's logit. The loss needs z_target, and the gradient overwrites it: if one thread read it after the
// sums while another, which owns that place of the row, is already in the third pass, the loss would be made of a gradient,
// now and then. So it is read first. The barriers inside the block's reductions stand between that read and every write of
// the third pass; that each thread reads it, not one for all, costs one request a warp and no shared memory. The third
// pass itself is safe: each logit is read and overwritten by the same thread.
template <class T>
__global__ void __launch_bounds__(threads)
    gradients_three_passes(View<T, 2> logits, View<const int32_t, 1> targets, float scale,
                           View<float, 1> losses) {
  const int64_t n = logits.extent[0], vocab = logits.extent[1];
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    T* row = logits.data + t * vocab;
    const int32_t target = targets.data[t];
    if (target == ignored_target) {
      for (int64_t j = threadIdx.x; j < vocab; j += threads) row[j] = T(0.0f);
      if (threadIdx.x == 0) losses.data[t] = 0;
      continue;
    }
    const float target_logit = target_logit_of(row, vocab, target);
    const RowSum r = sum_row(row, vocab);
    if (threadIdx.x == 0) losses.data[t] = loss_of(r, target_logit);
    const float factor = factor_of(r, scale, target_logit);
    for (int64_t j = threadIdx.x; j < vocab; j += threads)
      row[j] = T(gradient_of(static_cast<float>(row[j]), r, factor, scale, j == target));
  }
}

}  // namespace

template <class T>
void cross_entropy_forward_three_passes(In<T, 2> logits, View<const int32_t, 1> targets,
                                        View<float, 1> losses, Stream& stream) {
  check_cross_entropy<T>("cross_entropy_forward_three_passes", logits, targets, losses);
  if (logits.extent[0] == 0) return;
  launch(stream, {blocks_for_rows(logits.extent[0]), threads}, losses_three_passes<T>, logits, targets,
         losses);
}

template <class T>
void cross_entropy_forward_backward_three_passes(Out<T, 2> logits, View<const int32_t, 1> targets,
                                                 double scale, View<float, 1> losses, Stream& stream) {
  check_cross_entropy<T>("cross_entropy_forward_backward_three_passes", logits, targets, losses);
  if (logits.extent[0] == 0) return;
  launch(stream, {blocks_for_rows(logits.extent[0]), threads}, gradients_three_passes<T>, logits, targets,
         static_cast<float>(scale), losses);
}

#define DSLLM_INSTANTIATE(T)                                                                              \
  template void cross_entropy_forward_three_passes<T>(In<T, 2>, View<const int32_t, 1>, View<float, 1>,   \
                                                      Stream&);                                           \
  template void cross_entropy_forward_backward_three_passes<T>(Out<T, 2>, View<const int32_t, 1>, double, \
                                                               View<float, 1>, Stream&);
DSLLM_INSTANTIATE(float)
DSLLM_INSTANTIATE(bf16)
#undef DSLLM_INSTANTIATE

}  // namespace dsllm::cuda
