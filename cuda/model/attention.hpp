// Causal grouped-query attention on a device (paper, section 2.2; ref/model/attention.hpp has the equations), forward:
//
//     s_ij = scale * q_i . k_j  (j <= i)        p_i = softmax(s_i)        y_i = sum_j p_ij v_j        scale = 1 / sqrt(d_head)
//
//     q, y  [batch, seq, n_heads, d_head]      k, v  [batch, seq, n_kv_heads, d_head]      lse  [batch, n_heads, seq]
//
// Query head h reads key and value head h / (n_heads / n_kv_heads). The ladder is in cuda/model/attention/. Every function
// throws ShapeError; outputs alias nothing; nothing is allocated. Steps 2 and 3 take at most 65,535 heads in a batch
// (batch * n_heads).
#pragma once

#include "cuda/core/device.hpp"
#include "ref/core/bf16.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

// 1. Three kernels, and all the probabilities in memory: p [batch, n_heads, seq, seq], zero above the diagonal.
void attention_naive_forward(View<const float, 4> q, View<const float, 4> k, View<const float, 4> v,
                             View<float, 4> p, View<float, 4> y, Stream& stream);

// 2. One kernel with an online softmax; sums in float. T is float or bf16, d_head at most 128.
template <class T>
void attention_online_forward(In<T, 4> q, In<T, 4> k, In<T, 4> v, Out<T, 4> y, View<float, 3> lse,
                              Stream& stream);

// 3. The same on tensor cores. d_head is 64 or 128; rows begin at multiples of 16 bytes.
void attention_tensor_core_forward(View<const bf16, 4> q, View<const bf16, 4> k, View<const bf16, 4> v,
                                   View<bf16, 4> y, View<float, 3> lse, Stream& stream);

// The fastest of them that these shapes and types allow.
template <class T>
void attention_forward(In<T, 4> q, In<T, 4> k, In<T, 4> v, Out<T, 4> y, View<float, 3> lse, Stream& stream);

}  // namespace dsllm::cuda
