// Embedding, step 2: the gradient of the table with atomics.
//
//     dweight_id(t) += dy_t                                                                    (paper, section 2.2)
//
// ids [n], dy [n, d], dweight [vocab, d], float. A block takes a token; its threads add the row of dy to the row of dweight.
// FLOPs: n d. Bytes: dy in; each row of dweight whose id occurs in and out, once if the cache holds it until the id comes
// again. For n = 8192 tokens with 3000 ids among them, d = 4096, bf16: 67 MB + 98 MB, 49 us on an H100 (3.35 TB/s; computed, not
// measured).
//
// Two blocks may have the same id, so additions must be atomic. They are done by the L2 cache, one after another where they
// meet, and in text they meet: the most frequent token is every twentieth. And the order in which they come differs from run to
// run, and with it the rounding: (a + b) + c is not a + (b + c). Step 3 sorts the positions by id, step 4 adds in that order.
#include "cuda/core/kernel.hpp"
#include "cuda/model/embedding.hpp"

namespace dsllm::cuda {
namespace {

constexpr int threads = 256;

template <class T>
__global__ void scatter_add(View<const int32_t, 1> ids, View<const T, 2> dy, View<float, 2> dweight) {
  const int64_t n = ids.extent[0], vocab = dweight.extent[0], d = dweight.extent[1];
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    const int64_t id = ids.data[t];
    if (id < 0 || id >= vocab) continue;
    for (int64_t j = threadIdx.x; j < d; j += threads)
      atomicAdd(dweight.data + id * d + j, float(dy.data[t * d + j]));
  }
}

}  // namespace

template <class T>
void embedding_backward_atomics(View<const int32_t, 1> ids, View<const T, 2> dy, View<float, 2> dweight,
                                Stream& stream) {
  const int64_t n = ids.extent[0], d = dweight.extent[1];
  check_shape("embedding_backward_atomics", "dy", dy, {n, d});
  if (n == 0 || d == 0) return;
  launch(stream, {grid_of(n), threads}, scatter_add<T>, ids, dy, dweight);
}

template void embedding_backward_atomics<float>(View<const int32_t, 1>, View<const float, 2>, View<float, 2>,
                                                Stream&);
template void embedding_backward_atomics<bf16>(View<const int32_t, 1>, View<const bf16, 2>, View<float, 2>,
                                               Stream&);

}  // namespace dsllm::cuda
