// Token embedding (paper, section 2.2): row `id` of a table.
#pragma once

#include "ref/core/bf16.hpp"
#include "ref/core/view.hpp"

namespace dsllm::ref {

// y[t] = weight[ids[t]].   ids [n], weight [vocab, d], y [n, d].
// Throws ShapeError, and ValueError for an id outside [0, vocab), with both numbers, before anything is written.
template <class T, class W = T>
void embedding_forward(View<const int32_t, 1> ids, In<W, 2> weight, Out<T, 2> y);

// dweight[ids[t]] += dy[t], in the order of t.   ids [n], dy [n, d], dweight [vocab, d] (accumulates).
template <class T>
void embedding_backward(View<const int32_t, 1> ids, In<T, 2> dy, Out<T, 2> dweight);

}  // namespace dsllm::ref
