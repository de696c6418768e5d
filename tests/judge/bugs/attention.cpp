#include <algorithm>
#include <cmath>

#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

struct AttentionBug {
  float scale_power = -0.5f;     // scale = d_head^power
  int64_t sees_ahead = 0;        // keys beyond the query's own: 1 is off by one, a million is not causal
  bool group_by_modulo = false;  // key head h % n_kv_heads
  bool first_batch_only = false;
  bool no_rescale = false;  // online softmax forgets exp(m_old - m_new)
  bool lse_without_max = false;
  int64_t tile = 1;  // the rest of the keys beyond a whole number of tiles is dropped
};

// One query against keys 0 .. last, with online softmax, key by key. Returns the log-sum-exp.
template <class Q, class K, class V, class Y>
float attend(const AttentionBug& bug, int64_t d, int64_t last, const Q& q, const K& k, const V& v,
             const Y& y) {
  const float scale = std::pow(static_cast<float>(d), bug.scale_power);
  float m = -INFINITY, l = 0;
  for (int64_t e = 0; e < d; ++e) y(e) = 0;
  const int64_t keys = last + 1 >= bug.tile ? (last + 1) / bug.tile * bug.tile : last + 1;
  for (int64_t j = 0; j < keys; ++j) {
    float s = 0;
    for (int64_t e = 0; e < d; ++e) s += q(e) * k(j, e);
    s *= scale;
    const float m_new = std::max(m, s);
    const float rescale = bug.no_rescale && l > 0 ? 1 : std::exp(m - m_new), p = std::exp(s - m_new);
    l = l * rescale + p;
    for (int64_t e = 0; e < d; ++e) y(e) = y(e) * rescale + p * v(j, e);
    m = m_new;
  }
  for (int64_t e = 0; e < d; ++e) y(e) /= l;
  return std::log(l) + (bug.lse_without_max ? 0 : m);
}

int64_t key_head(const AttentionBug& bug, int64_t h, int64_t heads, int64_t kv_heads) {
  return bug.group_by_modulo ? h % kv_heads : h / (heads / kv_heads);
}

Run forward(const AttentionBug& bug) {
  return [bug](Call& c) {
    const auto q = c.in<float, 4>("q"), k = c.in<float, 4>("k"), v = c.in<float, 4>("v");
    const auto y = c.out<float, 4>("y");
    const auto lse = c.out<float, 3>("lse");
    const auto [batch, seq, heads, d] = q.extent;
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < seq; ++i) {
          const int64_t g = key_head(bug, h, heads, k.extent[2]), from = bug.first_batch_only ? 0 : b;
          lse(b, h, i) = attend(
              bug, d, std::clamp<int64_t>(i + bug.sees_ahead, 0, seq - 1),
              [&](int64_t e) { return q(b, i, h, e); },
              [&](int64_t j, int64_t e) { return k(from, j, g, e); },
              [&](int64_t j, int64_t e) { return v(from, j, g, e); },
              [&](int64_t e) -> float& { return y(b, i, h, e); });
        }
  };
}

Run decode(const AttentionBug& bug) {
  return [bug](Call& c) {
    const auto q = c.in<float, 2>("q");
    const auto y = c.out<float, 2>("y");
    const auto k = c.in<float, 3>("k"), v = c.in<float, 3>("v");
    for (int64_t h = 0; h < q.extent[0]; ++h) {
      const int64_t g = key_head(bug, h, q.extent[0], k.extent[1]);
      attend(
          bug, q.extent[1], std::max<int64_t>(0, k.extent[0] - 1 + bug.sees_ahead),
          [&](int64_t e) { return q(h, e); }, [&](int64_t j, int64_t e) { return k(j, g, e); },
          [&](int64_t j, int64_t e) { return v(j, g, e); }, [&](int64_t e) -> float& { return y(h, e); });
    }
  };
}

}  // namespace

std::vector<Bug> attention_bugs() {
  const int64_t all = 1'000'000;
  return {
      {"attention_forward", "", forward({})},
      {"attention_forward", "no scale", forward({.scale_power = 0})},
      {"attention_forward", "scale 1 / d_head", forward({.scale_power = -1})},
      {"attention_forward", "not causal", forward({.sees_ahead = all})},
      {"attention_forward", "sees one token ahead", forward({.sees_ahead = 1})},
      {"attention_forward", "does not see its own token", forward({.sees_ahead = -1})},
      {"attention_forward", "key head h % n_kv_heads", forward({.group_by_modulo = true})},
      {"attention_forward", "keys of the first sequence", forward({.first_batch_only = true})},
      {"attention_forward", "online: no rescaling", forward({.no_rescale = true})},
      {"attention_forward", "lse without the maximum", forward({.lse_without_max = true})},
      {"attention_forward", "drops keys beyond tiles of 64", forward({.tile = 64})},
      {"attention_decode", "", decode({})},
      {"attention_decode", "no scale", decode({.scale_power = 0})},
      {"attention_decode", "ignores the newest token", decode({.sees_ahead = -1})},
      {"attention_decode", "key head h % n_kv_heads", decode({.group_by_modulo = true})},
      {"attention_decode", "drops keys beyond tiles of 64", decode({.tile = 64})},
      {"attention_decode", "online: no rescaling", decode({.no_rescale = true})},
  };
}

}  // namespace dsllm::tests
