// Causal grouped-query attention (paper, section 2.2; Vaswani et al. 2017, Ainslie et al. 2023), three ways.
//
// Query head h reads key and value head h / (n_heads / n_kv_heads). For one head, with scale = 1 / sqrt(d_head):
//
//     s_ij = scale * q_i . k_j  (j <= i)        p_i = softmax(s_i)        y_i = sum_j p_ij v_j
//
// n_kv_heads = n_heads is multi-head attention, n_kv_heads = 1 multi-query attention. Shapes:
//     q, y, dy, dq  [batch, seq, n_heads, d_head]        k, v, dk, dv  [batch, seq, n_kv_heads, d_head]
// Every function throws ShapeError; outputs alias nothing.
#pragma once

#include "ref/core/view.hpp"

namespace dsllm::ref {

// 1. Naive: writes all the probabilities, p [batch, n_heads, seq, seq] (zero above the diagonal).
template <class T>
void attention_naive_forward(In<T, 4> q, In<T, 4> k, In<T, 4> v, Out<T, 4> p, Out<T, 4> y);

// ds [batch, n_heads, seq, seq] is scratch.
template <class T>
void attention_naive_backward(In<T, 4> dy, In<T, 4> q, In<T, 4> k, In<T, 4> v, In<T, 4> p, Out<T, 4> ds,
                              Out<T, 4> dq, Out<T, 4> dk, Out<T, 4> dv);

// 2. Online softmax over tiles (Milakov and Gimelshein 2018, Dao et al. 2022): the scores of one tile at a time, and
// only their log-sum-exp kept: lse [batch, n_heads, seq] with lse_i = log sum_j exp(s_ij).
template <class T>
void attention_forward(In<T, 4> q, In<T, 4> k, In<T, 4> v, Out<T, 4> y, Out<T, 3> lse);

template <class T>
void attention_backward(In<T, 4> dy, In<T, 4> q, In<T, 4> k, In<T, 4> v, In<T, 4> y, In<T, 3> lse,
                        Out<T, 4> dq, Out<T, 4> dk, Out<T, 4> dv);

// 3. One new token against a cache: q, y [n_heads, d_head]; k, v [length, n_kv_heads, d_head], of all tokens up to
// and including the new one.
template <class T>
void attention_decode(In<T, 2> q, In<T, 3> k, In<T, 3> v, Out<T, 2> y);

}  // namespace dsllm::ref
