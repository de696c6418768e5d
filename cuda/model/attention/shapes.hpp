// The extents of an attention call, checked once.
#pragma once

#include <string>

#include "ref/core/error.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

struct AttentionShape {
  int64_t batch, seq, n_heads, n_kv_heads, d_head;

  int64_t queries() const { return batch * seq * n_heads; }
};

// Throws ShapeError unless q, k and v belong together and d_head is in 1 .. d_head_max.
template <class T>
AttentionShape attention_shape(const char* operation, const View<const T, 4>& q, const View<const T, 4>& k,
                               const View<const T, 4>& v, int64_t d_head_max) {
  const AttentionShape s{q.extent[0], q.extent[1], q.extent[2], k.extent[2], q.extent[3]};
  check_shape(operation, "k", k, {s.batch, s.seq, s.n_kv_heads, s.d_head});
  check_shape(operation, "v", v, {s.batch, s.seq, s.n_kv_heads, s.d_head});
  if (s.n_kv_heads < 1 || s.n_heads % s.n_kv_heads != 0)
    throw ShapeError(operation, "n_heads = " + std::to_string(s.n_heads) + " to be a multiple of n_kv_heads",
                     "n_kv_heads = " + std::to_string(s.n_kv_heads));
  if (s.d_head < 1 || s.d_head > d_head_max)
    throw ShapeError(operation, "d_head in 1 .. " + std::to_string(d_head_max), std::to_string(s.d_head));
  return s;
}

// Steps 2 and 3 have a row of blocks for each head of each sequence, of which a grid can have 65,535.
inline void check_heads(const char* operation, const AttentionShape& s) {
  if (s.batch * s.n_heads > 65535)
    throw ShapeError(operation, "at most 65535 heads in a batch", std::to_string(s.batch * s.n_heads));
}

}  // namespace dsllm::cuda
