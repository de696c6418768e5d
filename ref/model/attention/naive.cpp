// Attention with all the probabilities in memory: O(seq^2) of it, and nothing to explain.
#include "ref/core/parallel.hpp"
#include "ref/model/attention.hpp"
#include "ref/model/attention/shapes.hpp"

namespace dsllm::ref {

template <class T>
void attention_naive_forward(In<T, 4> q, In<T, 4> k, In<T, 4> v, Out<T, 4> p, Out<T, 4> y) {
  const AttentionShape s("attention_naive_forward", q, k, v);
  check_shape("attention_naive_forward", "p", p, {s.batch, s.n_heads, s.seq, s.seq});
  check_shape("attention_naive_forward", "y", y, {s.batch, s.seq, s.n_heads, s.d_head});
  parallel_for(s.batch * s.n_heads, [&](int64_t task) {
    const int64_t b = task / s.n_heads, h = task % s.n_heads;
    auto probabilities = matrix(p.row(b).row(h));
    probabilities.noalias() = s.head(q, b, h, 0, s.seq) * s.head(k, b, h / s.group(), 0, s.seq).transpose();
    probabilities *= static_cast<T>(s.scale());
    for (int64_t i = 0; i < s.seq; ++i) {
      auto seen = probabilities.row(i).head(i + 1).array();
      seen = (seen - seen.maxCoeff()).exp().eval();
      seen /= seen.sum();
      probabilities.row(i).tail(s.seq - i - 1).setZero();
    }
    s.head(y, b, h, 0, s.seq).noalias() = probabilities * s.head(v, b, h / s.group(), 0, s.seq);
  });
}

template <class T>
void attention_naive_backward(In<T, 4> dy, In<T, 4> q, In<T, 4> k, In<T, 4> v, In<T, 4> p, Out<T, 4> ds,
                              Out<T, 4> dq, Out<T, 4> dk, Out<T, 4> dv) {
  const AttentionShape s("attention_naive_backward", q, k, v);
  check_shape("attention_naive_backward", "dy", dy, {s.batch, s.seq, s.n_heads, s.d_head});
  check_shape("attention_naive_backward", "p", p, {s.batch, s.n_heads, s.seq, s.seq});
  check_shape("attention_naive_backward", "ds", ds, {s.batch, s.n_heads, s.seq, s.seq});
  check_shape("attention_naive_backward", "dq", dq, {s.batch, s.seq, s.n_heads, s.d_head});
  check_shape("attention_naive_backward", "dk", dk, {s.batch, s.seq, s.n_kv_heads, s.d_head});
  check_shape("attention_naive_backward", "dv", dv, {s.batch, s.seq, s.n_kv_heads, s.d_head});
  // One task a key head: all query heads of its group add to the same dk and dv.
  parallel_for(s.batch * s.n_kv_heads, [&](int64_t task) {
    const int64_t b = task / s.n_kv_heads, g = task % s.n_kv_heads;
    const auto keys = s.head(k, b, g, 0, s.seq), values = s.head(v, b, g, 0, s.seq);
    auto dkeys = s.head(dk, b, g, 0, s.seq), dvalues = s.head(dv, b, g, 0, s.seq);
    dkeys.setZero();
    dvalues.setZero();
    for (int64_t h = g * s.group(); h < (g + 1) * s.group(); ++h) {
      const auto probabilities = matrix(p.row(b).row(h));
      const auto queries = s.head(q, b, h, 0, s.seq), dout = s.head(dy, b, h, 0, s.seq);
      auto dscores = matrix(ds.row(b).row(h));
      // y = p v  =>  dv += p^T dy,  dp = dy v^T
      dvalues.noalias() += probabilities.transpose() * dout;
      dscores.noalias() = dout * values.transpose();
      // p_i = softmax(s_i)  =>  ds_ij = p_ij (dp_ij - sum_k p_ik dp_ik)
      for (int64_t i = 0; i < s.seq; ++i) {
        const T mean = probabilities.row(i).cwiseProduct(dscores.row(i)).sum();
        dscores.row(i) = (probabilities.row(i).array() * (dscores.row(i).array() - mean)).matrix();
      }
      // s = scale q k^T  =>  dq = scale ds k,  dk += scale ds^T q
      dscores *= static_cast<T>(s.scale());
      s.head(dq, b, h, 0, s.seq).noalias() = dscores * keys;
      dkeys.noalias() += dscores.transpose() * queries;
    }
  });
}

template void attention_naive_forward<float>(In<float, 4>, In<float, 4>, In<float, 4>, Out<float, 4>,
                                             Out<float, 4>);
template void attention_naive_forward<double>(In<double, 4>, In<double, 4>, In<double, 4>, Out<double, 4>,
                                              Out<double, 4>);
template void attention_naive_backward<float>(In<float, 4>, In<float, 4>, In<float, 4>, In<float, 4>,
                                              In<float, 4>, Out<float, 4>, Out<float, 4>, Out<float, 4>,
                                              Out<float, 4>);
template void attention_naive_backward<double>(In<double, 4>, In<double, 4>, In<double, 4>, In<double, 4>,
                                               In<double, 4>, Out<double, 4>, Out<double, 4>, Out<double, 4>,
                                               Out<double, 4>);

}  // namespace dsllm::ref
