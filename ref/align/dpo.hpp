// Direct preference optimization (paper, section 4; Rafailov et al. 2023): the loss of pairs of answers, of which one was
// chosen and one rejected, from the sums of their tokens' log-probabilities under the policy and under a fixed reference.
//
//     h = (log pi(chosen) - log ref(chosen)) - (log pi(rejected) - log ref(rejected))
//
//   sigmoid  loss = -log sigmoid(beta h)                          Rafailov et al. 2023, equation 7
//            with label smoothing e (labels wrong with probability e; Mitchell 2023, conservative DPO):
//            loss = -(1 - e) log sigmoid(beta h) - e log sigmoid(-beta h)
//   ipo      loss = (h - 1 / (2 beta))^2                          Azar et al. 2023, equation 17
//   hinge    loss = max(0, 1 - beta h)                            SLiC (Zhao et al. 2023), on the same h
//
// Reference-free: log ref = 0 everywhere (a uniform reference). The implied reward of an answer is
// beta (log pi - log ref), Rafailov et al., equation 5 without its term for the prompt alone, which cancels in pairs.
#pragma once

#include "ref/core/settings.hpp"
#include "ref/core/view.hpp"

namespace dsllm::ref {

using dsllm::DpoSettings;

// Means over the pairs, as runs log them.
struct DpoMetrics {
  double loss = 0, reward_chosen = 0, reward_rejected = 0;
  double margin = 0;    // reward_chosen - reward_rejected
  double accuracy = 0;  // share of pairs whose margin is positive
};

// Everything [n], n >= 1, in nats: the four sums of log-probabilities (the reference's are not read if reference_free),
// and the outputs, which alias nothing: losses; dchosen and drejected, scale * d(sum of losses) / d(log pi of each), so
// that scale = 1 / n belongs to the mean; rewards of each answer. No margin overflows an exponential. At the kink of the
// hinge (beta h = 1) the gradient is 0. Throws ShapeError, and ValueError for beta <= 0, label_smoothing outside [0, 0.5)
// or with another loss than sigmoid.
template <class T>
DpoMetrics dpo_loss(const DpoSettings& settings, In<T, 1> policy_chosen, In<T, 1> policy_rejected,
                    In<T, 1> reference_chosen, In<T, 1> reference_rejected, double scale, Out<T, 1> losses,
                    Out<T, 1> dchosen, Out<T, 1> drejected, Out<T, 1> rewards_chosen,
                    Out<T, 1> rewards_rejected);

}  // namespace dsllm::ref
