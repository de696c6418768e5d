#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "ref/core/settings.hpp"
#include "ref/model/cross_entropy.hpp"
#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

struct LossBug {
  bool overflows = false;     // log(1 + exp(-z)) as it stands
  bool is_swapped = false;    // chosen and rejected
  bool no_reference = false;  // never subtracted
  bool no_beta = false;       // in the gradient
  bool same_sign = false;     // drejected = dchosen
  bool smoothing_ignored = false;
  bool sums_for_means = false;
};

Run loss(const LossBug& bug) {
  return [bug](Call& c) {
    const double beta = c.number("beta"), e = bug.smoothing_ignored ? 0 : c.number("smoothing"),
                 scale = c.number("scale");
    const bool no_reference = bug.no_reference || c.number("reference_free") != 0;
    const auto in = [&](const char* name) { return c.in<float, 1>(name); };
    const auto out = [&](const char* name) { return c.out<float, 1>(name); };
    // -log sigmoid(z)
    const auto minus_log_sigmoid = [&](float z) {
      if (bug.overflows) return std::log(1 + std::exp(-z));
      return std::log1p(std::exp(-std::abs(z))) + std::max(-z, 0.0f);
    };
    double sums[5] = {};
    for (int64_t i = 0; i < out("losses").size(); ++i) {
      const double chosen = in("policy_chosen")(i) - (no_reference ? 0.0 : in("reference_chosen")(i));
      const double rejected = in("policy_rejected")(i) - (no_reference ? 0.0 : in("reference_rejected")(i));
      const double h = bug.is_swapped ? rejected - chosen : chosen - rejected, z = beta * h;
      double value = 0, slope = 0;  // of the loss by h
      if (c.number("loss") == 0) {
        const double s = 1 / (1 + std::exp(-z));
        value = (1 - e) * minus_log_sigmoid(static_cast<float>(z)) +
                e * minus_log_sigmoid(static_cast<float>(-z));
        slope = beta * (-(1 - e) * (1 - s) + e * s);
      } else if (c.number("loss") == 1) {
        value = (h - 1 / (2 * beta)) * (h - 1 / (2 * beta));
        slope = 2 * (h - 1 / (2 * beta));
      } else {
        value = std::max(0.0, 1 - z);
        slope = z < 1 ? -beta : 0;
      }
      if (bug.no_beta) slope /= beta;
      out("losses")(i) = static_cast<float>(value);
      out("dchosen")(i) = static_cast<float>(scale * slope);
      out("drejected")(i) = static_cast<float>(scale * (bug.same_sign ? slope : -slope));
      out("rewards_chosen")(i) = static_cast<float>(beta * chosen);
      out("rewards_rejected")(i) = static_cast<float>(beta * rejected);
      const double terms[] = {value, beta * chosen, beta * rejected, beta * (chosen - rejected),
                              h > 0 ? 1.0 : 0.0};
      for (int m = 0; m < 5; ++m) sums[m] += terms[m];
    }
    const double n = bug.sums_for_means ? 1 : static_cast<double>(out("losses").size());
    for (int m = 0; m < 5; ++m) out("metrics")(m) = static_cast<float>(sums[m] / n);
  };
}

struct LogProbsBug {
  bool counts_prompt = false;  // tokens without a target as well
  bool is_mean = false;        // by token
  bool is_loss = false;        // without the minus
  bool drops_last_token = false;
  bool of_first_sequence = false;  // backward: everybody's factor
};

Run log_probs(const LogProbsBug& bug) {
  return [bug](Call& c) {
    const auto targets = c.in<int32_t, 2>("targets");
    const auto losses = c.out<float, 2>("losses");
    for (int64_t b = 0; b < targets.extent[0]; ++b) {
      ref::cross_entropy_forward<float>(c.in<float, 3>("logits").row(b), targets.row(b), losses.row(b));
      std::vector<int32_t> all(targets.row(b).data, targets.row(b).data + targets.extent[1]);
      std::vector<float> counted(losses.row(b).data, losses.row(b).data + targets.extent[1]);
      const auto answered =
          all.size() - static_cast<size_t>(std::count(all.begin(), all.end(), ignored_target));
      if (bug.counts_prompt) {
        std::replace(all.begin(), all.end(), ignored_target, 0);
        ref::cross_entropy_forward<float>(c.in<float, 3>("logits").row(b),
                                          View<const int32_t, 1>(all.data(), {targets.extent[1]}),
                                          View<float, 1>(counted.data(), {targets.extent[1]}));
      }
      if (bug.drops_last_token) counted.pop_back();
      const double sum = std::accumulate(counted.begin(), counted.end(), 0.0);
      c.out<float, 1>("log_probs")(b) =
          static_cast<float>((bug.is_loss ? sum : -sum) / (bug.is_mean ? static_cast<double>(answered) : 1));
    }
  };
}

Run log_probs_backward(const LogProbsBug& bug) {
  return [bug](Call& c) {
    const auto logits = c.out<float, 3>("logits");
    for (int64_t b = 0; b < logits.extent[0]; ++b) {
      const double factor = c.in<float, 1>("dlog_probs")(bug.of_first_sequence ? 0 : b);
      ref::cross_entropy_forward_backward<float>(logits.row(b), c.in<int32_t, 2>("targets").row(b),
                                                 bug.is_loss ? factor : -factor,
                                                 c.out<float, 2>("losses").row(b));
    }
  };
}

}  // namespace

std::vector<Bug> dpo_bugs() {
  return {
      {"dpo_loss", "", loss({})},
      {"dpo_loss", "log sigmoid overflows", loss({.overflows = true})},
      {"dpo_loss", "chosen and rejected swapped", loss({.is_swapped = true})},
      {"dpo_loss", "no reference", loss({.no_reference = true})},
      {"dpo_loss", "gradient without beta", loss({.no_beta = true})},
      {"dpo_loss", "both gradients of one sign", loss({.same_sign = true})},
      {"dpo_loss", "label smoothing ignored", loss({.smoothing_ignored = true})},
      {"dpo_loss", "metrics are sums", loss({.sums_for_means = true})},
      {"sequence_log_probs", "", log_probs({})},
      {"sequence_log_probs", "the prompt counts", log_probs({.counts_prompt = true})},
      {"sequence_log_probs", "mean by token", log_probs({.is_mean = true})},
      {"sequence_log_probs", "the loss itself", log_probs({.is_loss = true})},
      {"sequence_log_probs", "without the last token", log_probs({.drops_last_token = true})},
      {"sequence_log_probs_backward", "", log_probs_backward({})},
      {"sequence_log_probs_backward", "gradient of the loss", log_probs_backward({.is_loss = true})},
      {"sequence_log_probs_backward", "factor of the first sequence",
       log_probs_backward({.of_first_sequence = true})},
  };
}

}  // namespace dsllm::tests
