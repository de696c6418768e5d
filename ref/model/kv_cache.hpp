// Keys and values of the tokens so far, so that a new token costs one row of attention instead of all of them.
#pragma once

#include "ref/core/config.hpp"
#include "ref/core/tensor.hpp"

namespace dsllm::ref {

template <class T>
struct KvCache {
  Tensor<T, 4> k, v;   // [n_layers, capacity, n_kv_heads, d_head], k after RoPE
  int64_t length = 0;  // tokens in it

  KvCache(const ModelConfig& c, int64_t capacity)
      : k(c.n_layers, capacity, c.n_kv_heads, c.d_head), v(c.n_layers, capacity, c.n_kv_heads, c.d_head) {}
  int64_t capacity() const { return k.extent[1]; }
};

}  // namespace dsllm::ref
