#include "ref/align/dpo.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ref/core/error.hpp"

namespace dsllm::ref {
namespace {

// log sigmoid(z) = -log(1 + e^-z): exp only ever sees a number <= 0.
template <class T>
T log_sigmoid(T z) {
  return std::min(z, T{0}) - std::log1p(std::exp(-std::abs(z)));
}

template <class T>
T sigmoid(T z) {
  const T e = std::exp(-std::abs(z));
  return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

}  // namespace

template <class T>
DpoMetrics dpo_loss(const DpoSettings& settings, In<T, 1> policy_chosen, In<T, 1> policy_rejected,
                    In<T, 1> reference_chosen, In<T, 1> reference_rejected, double scale, Out<T, 1> losses,
                    Out<T, 1> dchosen, Out<T, 1> drejected, Out<T, 1> rewards_chosen,
                    Out<T, 1> rewards_rejected) {
  const int64_t n = losses.extent[0];
  const auto shape = [&](const char* name, View<const T, 1> x) { check_shape("dpo_loss", name, x, {n}); };
  shape("policy_chosen", policy_chosen);
  shape("policy_rejected", policy_rejected);
  if (!settings.reference_free) {
    shape("reference_chosen", reference_chosen);
    shape("reference_rejected", reference_rejected);
  }
  shape("dchosen", dchosen);
  shape("drejected", drejected);
  shape("rewards_chosen", rewards_chosen);
  shape("rewards_rejected", rewards_rejected);
  settings.validate(n);

  const T beta = static_cast<T>(settings.beta), smoothing = static_cast<T>(settings.label_smoothing);
  DpoMetrics sum;
  for (int64_t i = 0; i < n; ++i) {
    // Policy minus reference first: the two are close, so that the difference is exact or nearly so.
    const T chosen = policy_chosen(i) - (settings.reference_free ? T{0} : reference_chosen(i));
    const T rejected = policy_rejected(i) - (settings.reference_free ? T{0} : reference_rejected(i));
    const T h = chosen - rejected, z = beta * h;
    T loss = 0, dh = 0;  // dh = dloss / dh
    switch (settings.loss) {
      case DpoSettings::Loss::sigmoid:
        loss = -(1 - smoothing) * log_sigmoid(z) - smoothing * log_sigmoid(-z);
        dh = beta * (smoothing * sigmoid(z) - (1 - smoothing) * sigmoid(-z));
        break;
      case DpoSettings::Loss::ipo: {
        const T distance = h - 1 / (2 * beta);
        loss = distance * distance;
        dh = 2 * distance;
        break;
      }
      case DpoSettings::Loss::hinge:
        // Written so that a NaN stays one: max(0, NaN) could be 0.
        loss = z >= 1 ? T{0} : 1 - z;
        dh = z >= 1 ? T{0} : -beta;
        break;
    }
    losses(i) = loss;
    dchosen(i) = static_cast<T>(scale) * dh;
    drejected(i) = -dchosen(i);
    rewards_chosen(i) = beta * chosen;
    rewards_rejected(i) = beta * rejected;
    sum.loss += static_cast<double>(loss);
    sum.reward_chosen += static_cast<double>(rewards_chosen(i));
    sum.reward_rejected += static_cast<double>(rewards_rejected(i));
    sum.accuracy += h > 0 ? 1 : 0;
  }
  const double m = static_cast<double>(n);
  return {sum.loss / m, sum.reward_chosen / m, sum.reward_rejected / m,
          (sum.reward_chosen - sum.reward_rejected) / m, sum.accuracy / m};
}

template DpoMetrics dpo_loss<float>(const DpoSettings&, In<float, 1>, In<float, 1>, In<float, 1>,
                                    In<float, 1>, double, Out<float, 1>, Out<float, 1>, Out<float, 1>,
                                    Out<float, 1>, Out<float, 1>);
template DpoMetrics dpo_loss<double>(const DpoSettings&, In<double, 1>, In<double, 1>, In<double, 1>,
                                     In<double, 1>, double, Out<double, 1>, Out<double, 1>, Out<double, 1>,
                                     Out<double, 1>, Out<double, 1>);

}  // namespace dsllm::ref
