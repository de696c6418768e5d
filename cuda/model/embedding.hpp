// Token embedding on a device (paper, section 2.2): ref/model/embedding.hpp as kernels.
//
// T is float or bf16; the gradient of the table is float for both, since it accumulates. Ids lie on the device, so a function
// cannot throw for one outside [0, vocab): embedding_forward makes a row of NaN of it, the gradients leave it out.
// Shapes are checked, and throw ShapeError.
#pragma once

#include "cuda/core/device.hpp"
#include "ref/core/bf16.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

// y[t] = weight[ids[t]].   ids [n], weight [vocab, d], y [n, d].
template <class T>
void embedding_forward(View<const int32_t, 1> ids, In<T, 2> weight, Out<T, 2> y, Stream& stream);

// dweight[ids[t]] += dy[t].   ids [n], dy [n, d], dweight [vocab, d] (accumulates). With atomics: the order of the additions,
// and so the last bits, differ from run to run.
template <class T>
void embedding_backward_atomics(View<const int32_t, 1> ids, View<const T, 2> dy, View<float, 2> dweight,
                                Stream& stream);

// positions [n]: 0 .. n - 1, sorted by the id that stands there, equal ids by their position. Ids outside [0, vocab) come last.
// Throws ValueError for n from 2^31 on. scratch [embedding_sort_scratch(n, vocab)].
void embedding_sort(View<const int32_t, 1> ids, int64_t vocab, View<int32_t, 1> positions,
                    View<int32_t, 1> scratch, Stream& stream);
int64_t embedding_sort_scratch(int64_t n, int64_t vocab);

// The same as embedding_backward_atomics, in an order that depends on ids alone: from `positions`, as embedding_sort makes
// them. partial [embedding_pieces(n), 2, d] is working memory. So one sort serves every table that the ids look into.
template <class T>
void embedding_backward_sorted(View<const int32_t, 1> ids, View<const int32_t, 1> positions,
                               View<const T, 2> dy, View<float, 2> dweight, View<float, 3> partial,
                               Stream& stream);
// Positions that one block adds up.
constexpr int64_t embedding_piece = 32;
constexpr int64_t embedding_pieces(int64_t n) {
  return (n + embedding_piece - 1) / embedding_piece;
}

// Both: sort, then add. positions [n] and the two working memories as above.
template <class T>
void embedding_backward(View<const int32_t, 1> ids, View<const T, 2> dy, View<float, 2> dweight,
                        View<int32_t, 1> positions, View<int32_t, 1> scratch, View<float, 3> partial,
                        Stream& stream);

}  // namespace dsllm::cuda
