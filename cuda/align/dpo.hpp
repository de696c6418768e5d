// Direct preference optimization on a device (paper, section 4; ref/align/dpo.hpp has the losses), from logits to gradients
// without the host:
//
//     sequence_log_probs            log pi of each answer from the model's logits, for the policy and for the reference
//     dpo_loss                      losses, rewards, metrics, and the gradient by each log pi
//     sequence_log_probs_backward   from that to the gradient by the logits, in their place
//
// Every function throws ShapeError; outputs alias nothing; nothing is allocated. All sums are float or double for both T.
#pragma once

#include "cuda/core/device.hpp"
#include "ref/core/bf16.hpp"
#include "ref/core/settings.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

// logits [batch, seq, vocab], targets [batch, seq]: the next token, or ignored_target at the prompt and the padding, so that
// only the response counts. losses [batch, seq]: -log p of each target, 0 where it is ignored, NaN for a target
// outside the vocabulary. log_probs [batch] = -sum of the row's losses, summed in double.
template <class T>
void sequence_log_probs(In<T, 3> logits, View<const int32_t, 2> targets, View<float, 2> losses,
                        View<float, 1> log_probs, Stream& stream);

// dlog_probs [batch]: logits become sum_b dlog_probs[b] * d(log_probs[b]) / dlogits; losses as above.
template <class T>
void sequence_log_probs_backward(Out<T, 3> logits, View<const int32_t, 2> targets,
                                 View<const float, 1> dlog_probs, View<float, 2> losses, Stream& stream);

// Where the means over the pairs are in `metrics`, in the order of ref::DpoMetrics.
enum DpoMetric {
  dpo_mean_loss,
  dpo_reward_chosen,
  dpo_reward_rejected,
  dpo_margin,
  dpo_accuracy,
  dpo_metrics
};

// As ref::dpo_loss; everything [n], n >= 1, but metrics [dpo_metrics]. The reference's log-probabilities may be empty if
// reference_free. Throws ValueError for settings outside their ranges.
void dpo_loss(const DpoSettings& settings, View<const float, 1> policy_chosen,
              View<const float, 1> policy_rejected, View<const float, 1> reference_chosen,
              View<const float, 1> reference_rejected, double scale, View<float, 1> losses,
              View<float, 1> dchosen, View<float, 1> drejected, View<float, 1> rewards_chosen,
              View<float, 1> rewards_rejected, View<float, 1> metrics, Stream& stream);

}  // namespace dsllm::cuda
