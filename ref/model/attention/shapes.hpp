// What the three ways of ref/model/attention.hpp share: their shapes, checked once, and one head as a matrix.
#pragma once

#include <fmt/format.h>

#include <cmath>

#include "ref/core/eigen.hpp"
#include "ref/core/error.hpp"

namespace dsllm::ref {

struct AttentionShape {
  int64_t batch, seq, n_heads, n_kv_heads, d_head;

  template <class T>
  AttentionShape(const char* operation, View<const T, 4> q, View<const T, 4> k, View<const T, 4> v)
      : batch(q.extent[0]),
        seq(q.extent[1]),
        n_heads(q.extent[2]),
        n_kv_heads(k.extent[2]),
        d_head(q.extent[3]) {
    check_shape(operation, "k", k, {batch, seq, n_kv_heads, d_head});
    check_shape(operation, "v", v, {batch, seq, n_kv_heads, d_head});
    check_heads(operation, n_heads, n_kv_heads);
  }

  static void check_heads(const char* operation, int64_t n_heads, int64_t n_kv_heads) {
    if (n_kv_heads <= 0 || n_heads % n_kv_heads != 0)
      throw ShapeError(operation, "query heads that are a multiple of the key heads",
                       fmt::format("{} and {}", n_heads, n_kv_heads));
  }

  int64_t group() const { return n_heads / n_kv_heads; }  // query heads per key head
  double scale() const { return 1 / std::sqrt(static_cast<double>(d_head)); }

  // Rows first .. first + count - 1 of head h of sequence b of x [batch, seq, heads, d_head], as [count, d_head].
  template <class T>
  auto head(View<T, 4> x, int64_t b, int64_t h, int64_t first, int64_t count) const {
    const int64_t heads = x.extent[2];
    return strided(x.data + ((b * seq + first) * heads + h) * d_head, count, d_head, heads * d_head);
  }
};

}  // namespace dsllm::ref
