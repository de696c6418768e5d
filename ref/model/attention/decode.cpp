// Attention of one new token against the cache: one row of the causal triangle, keys in tiles.
#include <algorithm>

#include "ref/core/parallel.hpp"
#include "ref/model/attention.hpp"
#include "ref/model/attention/shapes.hpp"
#include "ref/model/sum.hpp"

namespace dsllm::ref {

template <class T>
void attention_decode(In<T, 2> q, In<T, 3> k, In<T, 3> v, Out<T, 2> y) {
  const int64_t n_heads = q.extent[0], d_head = q.extent[1], length = k.extent[0], n_kv_heads = k.extent[1];
  check_shape("attention_decode", "k", k, {length, n_kv_heads, d_head});
  check_shape("attention_decode", "v", v, {length, n_kv_heads, d_head});
  check_shape("attention_decode", "y", y, {n_heads, d_head});
  AttentionShape::check_heads("attention_decode", n_heads, n_kv_heads);
  if (length < 1) throw ShapeError("attention_decode", "a cache that holds the new token", describe_shape(k));
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(d_head)));

  parallel_for(n_heads, [&](int64_t h) {
    constexpr int64_t tile = 64;
    const int64_t g = h / (n_heads / n_kv_heads);
    const T* query = q.data + h * d_head;
    T* out = y.data + h * d_head;
    T m = -INFINITY, l = 0;
    std::fill_n(out, d_head, T(0));
    for (int64_t first = 0; first < length; first += tile) {
      const int64_t count = std::min(tile, length - first);
      T score[tile];
      T m_new = m;
      for (int64_t j = 0; j < count; ++j) {
        score[j] = scale * lane_dot<T>(d_head, query, k.data + ((first + j) * n_kv_heads + g) * d_head);
        m_new = std::max(m_new, score[j]);
      }
      const T rescale = std::exp(m - m_new);
      l *= rescale;
      for (int64_t i = 0; i < d_head; ++i) out[i] *= rescale;
      for (int64_t j = 0; j < count; ++j) {
        const T p = std::exp(score[j] - m_new);
        const T* value = v.data + ((first + j) * n_kv_heads + g) * d_head;
        l += p;
        for (int64_t i = 0; i < d_head; ++i) out[i] += p * value[i];
      }
      m = m_new;
    }
    for (int64_t i = 0; i < d_head; ++i) out[i] /= l;
  });
}

template void attention_decode<float>(In<float, 2>, In<float, 3>, In<float, 3>, Out<float, 2>);
template void attention_decode<double>(In<double, 2>, In<double, 3>, In<double, 3>, Out<double, 2>);

}  // namespace dsllm::ref
