#include "ref/model/embedding.hpp"

#include <fmt/format.h>

#include "ref/core/error.hpp"

namespace dsllm::ref {
namespace {

void check_ids(const char* operation, View<const int32_t, 1> ids, int64_t vocab) {
  for (int64_t t = 0; t < ids.extent[0]; ++t)
    if (ids(t) < 0 || ids(t) >= vocab)
      throw ValueError(operation, fmt::format("ids below the vocabulary of {}", vocab),
                       fmt::format("id {} at position {}", ids(t), t));
}

}  // namespace

template <class T, class W>
void embedding_forward(View<const int32_t, 1> ids, In<W, 2> weight, Out<T, 2> y) {
  const int64_t n = ids.extent[0], vocab = weight.extent[0], d = weight.extent[1];
  check_shape("embedding_forward", "y", y, {n, d});
  check_ids("embedding_forward", ids, vocab);
  for (int64_t t = 0; t < n; ++t) {
    const W* row = weight.data + ids(t) * d;
    for (int64_t j = 0; j < d; ++j) y.data[t * d + j] = static_cast<T>(row[j]);
  }
}

template <class T>
void embedding_backward(View<const int32_t, 1> ids, In<T, 2> dy, Out<T, 2> dweight) {
  const int64_t n = ids.extent[0], vocab = dweight.extent[0], d = dweight.extent[1];
  check_shape("embedding_backward", "dy", dy, {n, d});
  check_ids("embedding_backward", ids, vocab);
  for (int64_t t = 0; t < n; ++t) {
    T* row = dweight.data + ids(t) * d;
    for (int64_t j = 0; j < d; ++j) row[j] += dy.data[t * d + j];
  }
}

template void embedding_forward<float, float>(View<const int32_t, 1>, In<float, 2>, Out<float, 2>);
template void embedding_forward<float, bf16>(View<const int32_t, 1>, In<bf16, 2>, Out<float, 2>);
template void embedding_forward<double, double>(View<const int32_t, 1>, In<double, 2>, Out<double, 2>);
template void embedding_backward<float>(View<const int32_t, 1>, In<float, 2>, Out<float, 2>);
template void embedding_backward<double>(View<const int32_t, 1>, In<double, 2>, Out<double, 2>);

}  // namespace dsllm::ref
