#include <algorithm>
#include <bit>
#include <cmath>

#include "ref/core/bf16.hpp"
#include "ref/model/cross_entropy.hpp"
#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

struct LossBug {
  bool no_max = false;
  bool log2 = false;
  bool ignored_counts = false;  // as target 0
  bool target_after = false;    // the next class
  bool no_one_hot = false;      // gradient = softmax
  bool no_scale = false;
  bool ignored_keeps_logits = false;
  bool loss_after_gradient = false;  // reads the logit of the target when it is a gradient already
  bool truncates = false;            // to bf16
};

// T is the type of the logits: float or bf16.
template <class T>
T store(const LossBug& bug, float x) {
  if constexpr (std::is_same_v<T, bf16>)
    if (bug.truncates) return std::bit_cast<bf16>(static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16));
  return static_cast<T>(x);
}

template <class T>
Run loss(const LossBug& bug, bool writes_gradient) {
  return [=](Call& c) {
    const View<T, 2> logits = c.out<T, 2>("logits");
    const auto targets = c.in<int32_t, 1>("targets");
    const auto losses = c.out<float, 1>("losses");
    const int64_t n = logits.extent[0], vocab = logits.extent[1];
    const float scale = bug.no_scale ? 1 : static_cast<float>(c.number("scale"));
    for (int64_t t = 0; t < n; ++t) {
      T* z = logits.data + t * vocab;
      int64_t target = targets(t);
      if (target == ref::ignored_target && !bug.ignored_counts) {
        losses(t) = 0;
        if (writes_gradient && !bug.ignored_keeps_logits) std::fill_n(z, vocab, T(0.0f));
        continue;
      }
      target = std::max<int64_t>(target, 0);
      if (bug.target_after) target = (target + 1) % vocab;
      float max = -INFINITY, sum = 0;
      for (int64_t j = 0; j < vocab; ++j) max = std::max<float>(max, z[j]);
      if (bug.no_max) max = 0;
      for (int64_t j = 0; j < vocab; ++j) sum += std::exp(static_cast<float>(z[j]) - max);
      const auto loss_now = [&] {
        const float nats = std::log(sum) + max - static_cast<float>(z[target]);
        return bug.log2 ? nats / std::log(2.0f) : nats;
      };
      if (!bug.loss_after_gradient) losses(t) = loss_now();
      if (writes_gradient)
        for (int64_t j = 0; j < vocab; ++j) {
          const float p = std::exp(static_cast<float>(z[j]) - max) / sum;
          z[j] = store<T>(bug, scale * (p - (j == target && !bug.no_one_hot ? 1 : 0)));
        }
      if (bug.loss_after_gradient) losses(t) = loss_now();
    }
  };
}

}  // namespace

std::vector<Bug> cross_entropy_bugs() {
  const std::string f = "cross_entropy_forward", b = "cross_entropy_forward_backward";
  return {
      {f, "", loss<float>({}, false)},
      {f, "", loss<bf16>({}, false), DType::bf16},
      {f, "no maximum subtracted", loss<float>({.no_max = true}, false)},
      {f, "in bits", loss<float>({.log2 = true}, false)},
      {f, "an ignored position counts", loss<float>({.ignored_counts = true}, false)},
      {f, "off by one class", loss<float>({.target_after = true}, false)},
      {b, "", loss<float>({}, true)},
      {b, "", loss<bf16>({}, true), DType::bf16},
      {b, "no maximum subtracted", loss<float>({.no_max = true}, true)},
      {b, "gradient without the one-hot", loss<float>({.no_one_hot = true}, true)},
      {b, "gradient without the scale", loss<float>({.no_scale = true}, true)},
      {b, "an ignored position counts", loss<float>({.ignored_counts = true}, true)},
      {b, "an ignored position keeps its logits", loss<float>({.ignored_keeps_logits = true}, true)},
      {b, "loss read after the gradient is written", loss<float>({.loss_after_gradient = true}, true)},
      {b, "bf16 by truncation", loss<bf16>({.truncates = true}, true), DType::bf16},
  };
}

}  // namespace dsllm::tests
