// Attention with online softmax over tiles: the probabilities exist one tile at a time, on the stack.
#include <algorithm>

#include "ref/core/parallel.hpp"
#include "ref/model/attention.hpp"
#include "ref/model/attention/shapes.hpp"

namespace dsllm::ref {
namespace {

constexpr int64_t tile = 64;  // queries and keys at a time

// Up to tile x tile scores, without heap memory.
template <class T>
using Scores = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor, tile, tile>;
template <class T>
using Column = Eigen::Matrix<T, Eigen::Dynamic, 1, 0, tile, 1>;  // a number for each query of a tile

// Puts `value` where key j lies after query i; tiles below the diagonal have no such place.
template <class T>
void mask(Scores<T>& scores, int64_t first_query, int64_t first_key, T value) {
  for (int64_t i = 0; i < scores.rows(); ++i) {
    const int64_t seen = std::clamp<int64_t>(first_query + i - first_key + 1, 0, scores.cols());
    scores.row(i).tail(scores.cols() - seen).setConstant(value);
  }
}

}  // namespace

template <class T>
void attention_forward(In<T, 4> q, In<T, 4> k, In<T, 4> v, Out<T, 4> y, Out<T, 3> lse) {
  const AttentionShape s("attention_forward", q, k, v);
  check_shape("attention_forward", "y", y, {s.batch, s.seq, s.n_heads, s.d_head});
  check_shape("attention_forward", "lse", lse, {s.batch, s.n_heads, s.seq});
  const int64_t tiles = (s.seq + tile - 1) / tile;
  parallel_for(s.batch * s.n_heads * tiles, [&](int64_t task) {
    // The last tiles see the most keys, so they go first.
    const int64_t first_query = (tiles - 1 - task / (s.batch * s.n_heads)) * tile;
    const int64_t b = task % (s.batch * s.n_heads) / s.n_heads, h = task % s.n_heads;
    const int64_t queries = std::min(tile, s.seq - first_query);
    const auto q_tile = s.head(q, b, h, first_query, queries);
    auto y_tile = s.head(y, b, h, first_query, queries);

    // Of the keys so far: the largest score m, l = sum_j exp(s_j - m), and y = sum_j exp(s_j - m) v_j.
    Column<T> m = Column<T>::Constant(queries, -INFINITY), l = Column<T>::Zero(queries);
    y_tile.setZero();
    for (int64_t first_key = 0; first_key < first_query + queries; first_key += tile) {
      const int64_t keys = std::min(tile, s.seq - first_key);
      Scores<T> p(queries, keys);
      p.noalias() = q_tile * s.head(k, b, h / s.group(), first_key, keys).transpose();
      p *= static_cast<T>(s.scale());
      if (first_key == first_query) mask(p, first_query, first_key, static_cast<T>(-INFINITY));
      // A larger maximum rescales what was summed before: exp(s - m_old) = exp(s - m_new) / exp(m_old - m_new).
      const Column<T> m_new = m.cwiseMax(p.rowwise().maxCoeff());
      const Column<T> rescale = (m - m_new).array().exp().matrix();
      p = (p.colwise() - m_new).array().exp().matrix().eval();
      if (first_key == first_query) mask(p, first_query, first_key, T(0));
      l = l.cwiseProduct(rescale) + p.rowwise().sum();
      m = m_new;
      y_tile.array().colwise() *= rescale.array();
      y_tile.noalias() += p * s.head(v, b, h / s.group(), first_key, keys);
    }
    y_tile.array().colwise() /= l.array();
    for (int64_t i = 0; i < queries; ++i) lse(b, h, first_query + i) = m[i] + std::log(l[i]);
  });
}

template <class T>
void attention_backward(In<T, 4> dy, In<T, 4> q, In<T, 4> k, In<T, 4> v, In<T, 4> y, In<T, 3> lse,
                        Out<T, 4> dq, Out<T, 4> dk, Out<T, 4> dv) {
  const AttentionShape s("attention_backward", q, k, v);
  check_shape("attention_backward", "dy", dy, {s.batch, s.seq, s.n_heads, s.d_head});
  check_shape("attention_backward", "y", y, {s.batch, s.seq, s.n_heads, s.d_head});
  check_shape("attention_backward", "lse", lse, {s.batch, s.n_heads, s.seq});
  check_shape("attention_backward", "dq", dq, {s.batch, s.seq, s.n_heads, s.d_head});
  check_shape("attention_backward", "dk", dk, {s.batch, s.seq, s.n_kv_heads, s.d_head});
  check_shape("attention_backward", "dv", dv, {s.batch, s.seq, s.n_kv_heads, s.d_head});
  // One task a key head: all query heads of its group add to the same dk and dv.
  parallel_for(s.batch * s.n_kv_heads, [&](int64_t task) {
    const int64_t b = task / s.n_kv_heads, g = task % s.n_kv_heads;
    s.head(dk, b, g, 0, s.seq).setZero();
    s.head(dv, b, g, 0, s.seq).setZero();
    for (int64_t h = g * s.group(); h < (g + 1) * s.group(); ++h) s.head(dq, b, h, 0, s.seq).setZero();

    for (int64_t h = g * s.group(); h < (g + 1) * s.group(); ++h)
      for (int64_t first_query = 0; first_query < s.seq; first_query += tile) {
        const int64_t queries = std::min(tile, s.seq - first_query);
        const auto q_tile = s.head(q, b, h, first_query, queries);
        const auto dy_tile = s.head(dy, b, h, first_query, queries);
        auto dq_tile = s.head(dq, b, h, first_query, queries);
        const Eigen::Map<const Column<T>> lse_tile(lse.data + (b * s.n_heads + h) * s.seq + first_query,
                                                   queries);
        // sum_j p_ij dp_ij = sum_j p_ij dy_i . v_j = dy_i . y_i: needs no row of probabilities.
        const Column<T> mean = dy_tile.cwiseProduct(s.head(y, b, h, first_query, queries)).rowwise().sum();

        for (int64_t first_key = 0; first_key < first_query + queries; first_key += tile) {
          const int64_t keys = std::min(tile, s.seq - first_key);
          const auto k_tile = s.head(k, b, g, first_key, keys), v_tile = s.head(v, b, g, first_key, keys);
          // p_ij = exp(s_ij - lse_i), once more
          Scores<T> p(queries, keys), ds(queries, keys);
          p.noalias() = q_tile * k_tile.transpose();
          p = ((p * static_cast<T>(s.scale())).colwise() - lse_tile).array().exp().matrix().eval();
          if (first_key == first_query) mask(p, first_query, first_key, T(0));
          // y = p v  =>  dv += p^T dy,  dp = dy v^T;   ds = p (dp - mean)
          s.head(dv, b, g, first_key, keys).noalias() += p.transpose() * dy_tile;
          ds.noalias() = dy_tile * v_tile.transpose();
          ds = (p.array() * (ds.colwise() - mean).array() * static_cast<T>(s.scale())).matrix().eval();
          // s = scale q k^T  =>  dq += scale ds k,  dk += scale ds^T q
          dq_tile.noalias() += ds * k_tile;
          s.head(dk, b, g, first_key, keys).noalias() += ds.transpose() * q_tile;
        }
      }
  });
}

template void attention_forward<float>(In<float, 4>, In<float, 4>, In<float, 4>, Out<float, 4>,
                                       Out<float, 3>);
template void attention_forward<double>(In<double, 4>, In<double, 4>, In<double, 4>, Out<double, 4>,
                                        Out<double, 3>);
template void attention_backward<float>(In<float, 4>, In<float, 4>, In<float, 4>, In<float, 4>, In<float, 4>,
                                        In<float, 3>, Out<float, 4>, Out<float, 4>, Out<float, 4>);
template void attention_backward<double>(In<double, 4>, In<double, 4>, In<double, 4>, In<double, 4>,
                                         In<double, 4>, In<double, 3>, Out<double, 4>, Out<double, 4>,
                                         Out<double, 4>);

}  // namespace dsllm::ref
