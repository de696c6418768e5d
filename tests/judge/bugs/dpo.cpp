#include <cmath>

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
  };
}

}  // namespace dsllm::tests
