#include <algorithm>
#include <cmath>

#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

struct BackwardBug {
  bool no_mean = false;  // ds = p dp
  bool dq_unscaled = false;
  bool dk_unscaled = false;
  bool group_by_modulo = false;
  bool last_head_only = false;  // dk, dv of a group are those of its last query head
  bool not_causal = false;
  bool dv_of_transposed = false;  // p in place of p^T: queries and keys exchanged
  bool accumulates = false;       // dk and dv are not zeroed first
};

Run backward(const BackwardBug& bug, bool reads_lse) {
  return [=](Call& c) {
    const auto q = c.in<float, 4>("q"), k = c.in<float, 4>("k"), v = c.in<float, 4>("v"),
               dy = c.in<float, 4>("dy"), y = c.in<float, 4>("y"), p = c.in<float, 4>("p");
    const auto lse = c.in<float, 3>("lse");
    const auto dq = c.out<float, 4>("dq"), dk = c.out<float, 4>("dk"), dv = c.out<float, 4>("dv");
    const auto [batch, seq, heads, d] = q.extent;
    const int64_t group = heads / k.extent[2];
    const float scale = 1 / std::sqrt(static_cast<float>(d));
    std::fill_n(dq.data, dq.size(), 0.0f);
    if (!bug.accumulates) std::fill_n(dk.data, dk.size(), 0.0f);
    if (!bug.accumulates) std::fill_n(dv.data, dv.size(), 0.0f);
    const auto dot = [width = d](const float* a, const float* b) {
      float sum = 0;
      for (int64_t e = 0; e < width; ++e) sum += a[e] * b[e];
      return sum;
    };
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < seq; ++i) {
          const int64_t g = bug.group_by_modulo ? h % k.extent[2] : h / group;
          const bool counts = !bug.last_head_only || h % group == group - 1;
          const float mean = bug.no_mean ? 0 : dot(&dy(b, i, h, 0), &y(b, i, h, 0));
          for (int64_t j = 0; j <= (bug.not_causal ? seq - 1 : i); ++j) {
            const float probability =
                reads_lse || bug.not_causal
                    ? std::exp(scale * dot(&q(b, i, h, 0), &k(b, j, g, 0)) - lse(b, h, i))
                    : p(b, h, i, j);
            const float ds = probability * (dot(&dy(b, i, h, 0), &v(b, j, g, 0)) - mean);
            for (int64_t e = 0; e < d; ++e) {
              dq(b, i, h, e) += (bug.dq_unscaled ? 1 : scale) * ds * k(b, j, g, e);
              if (counts) dk(b, j, g, e) += (bug.dk_unscaled ? 1 : scale) * ds * q(b, i, h, e);
              if (counts && bug.dv_of_transposed) dv(b, i, g, e) += probability * dy(b, j, h, e);
              if (counts && !bug.dv_of_transposed) dv(b, j, g, e) += probability * dy(b, i, h, e);
            }
          }
        }
  };
}

}  // namespace

std::vector<Bug> attention_backward_bugs() {
  std::vector<Bug> bugs;
  for (const bool reads_lse : {false, true}) {
    const std::string pair = reads_lse ? "attention_backward" : "attention_naive_backward";
    const auto add = [&](const char* name, const BackwardBug& bug) {
      bugs.push_back({pair, name, backward(bug, reads_lse)});
    };
    add("", {});
    add("softmax without its mean", {.no_mean = true});
    add("dq without the scale", {.dq_unscaled = true});
    add("dk without the scale", {.dk_unscaled = true});
    add("key head h % n_kv_heads", {.group_by_modulo = true});
    add("dk, dv of the last query head only", {.last_head_only = true});
    add("not causal", {.not_causal = true});
    add("dv of p, not of its transpose", {.dv_of_transposed = true});
    add("dk, dv accumulated", {.accumulates = true});
  }
  return bugs;
}

}  // namespace dsllm::tests
