// Embedding, step 1: rows of a table.
//
//     y_t = weight_id(t)                                                                       (paper, section 2.2)
//
// ids [n], weight [vocab, d], y [n, d]. A block takes a token. FLOPs: none. Bytes: a row in, a row out; for n = 8192, d = 4096
// in bf16 134 MB, 40 us on an H100 (3.35 TB/s; computed, not measured), less where ids repeat and their rows are still in the
// cache.
//
// A block has to know its id before it can ask for the row: two waits, one after the other. Each thread then asks for four
// vectors before it stores the first, and many blocks wait at the same time.
#include "cuda/core/kernel.hpp"
#include "cuda/core/vector.hpp"
#include "cuda/model/embedding.hpp"

namespace dsllm::cuda {
namespace {

constexpr int threads = 128;
constexpr int at_once = 4;  // vectors that a thread reads before it writes one

template <class T>
__global__ void gather_vectors(View<const int32_t, 1> ids, View<const T, 2> weight, View<T, 2> y) {
  constexpr int size = Vector<T>::size;
  const int64_t n = ids.extent[0], vocab = weight.extent[0], d = weight.extent[1];
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    const int64_t id = ids.data[t];
    const bool known = id >= 0 && id < vocab;
    Vector<T> part[at_once];
#pragma unroll
    for (int k = 0; k < at_once; ++k)
#pragma unroll
      for (int i = 0; i < size; ++i) part[k][i] = T(nanf(""));
    for (int64_t j0 = threadIdx.x * size; j0 < d; j0 += at_once * threads * size) {
#pragma unroll
      for (int k = 0; k < at_once; ++k)
        if (const int64_t j = j0 + k * threads * size; known && j < d)
          part[k] = load16(weight.data + id * d + j);
#pragma unroll
      for (int k = 0; k < at_once; ++k)
        if (const int64_t j = j0 + k * threads * size; j < d) store16(y.data + t * d + j, part[k]);
    }
  }
}

// Any d, any alignment.
template <class T>
__global__ void gather_elements(View<const int32_t, 1> ids, View<const T, 2> weight, View<T, 2> y) {
  const int64_t n = ids.extent[0], vocab = weight.extent[0], d = weight.extent[1];
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    const int64_t id = ids.data[t];
    const bool known = id >= 0 && id < vocab;
    for (int64_t j = threadIdx.x; j < d; j += threads)
      y.data[t * d + j] = known ? weight.data[id * d + j] : T(nanf(""));
  }
}

}  // namespace

template <class T>
void embedding_forward(View<const int32_t, 1> ids, In<T, 2> weight, Out<T, 2> y, Stream& stream) {
  const int64_t n = ids.extent[0], d = weight.extent[1];
  check_shape("embedding_forward", "y", y, {n, d});
  if (n == 0 || d == 0) return;
  const bool vectors = fits16(weight.data, d) && fits16(y.data, d);
  launch(stream, {grid_of(n), threads}, vectors ? gather_vectors<T> : gather_elements<T>, ids, weight, y);
}

template void embedding_forward<float>(View<const int32_t, 1>, In<float, 2>, Out<float, 2>, Stream&);
template void embedding_forward<bf16>(View<const int32_t, 1>, In<bf16, 2>, Out<bf16, 2>, Stream&);

}  // namespace dsllm::cuda
