// Cross-entropy, step 3: the online pass with 16 bytes an access, several of them on the way (paper, 2.4).
//
//     logsumexp in one pass, joined from parts as in step 2; then z_j <- scale (exp(z_j - max) / sum - [j == target])
//
//     logits [n, vocab], targets [n], losses [n]
//
// Parallel over: rows, one block each; 512 threads for a vocabulary of a language model, two blocks to a processor, so that one
// reads while the other waits at its barriers; 128 for a small one, where most of 512 would have nothing to do.
// FLOPs: about 7 n vocab; exponentials 2 n vocab and one for each vector: the maximum of a vector is found first, so
// that the old sum is mended once for all of them.
// Bytes: two reads and one write of the logits, of which the second read is in part answered by L2 (50 MB; the rows of 264
// blocks, two on each of 132 processors, have 54 MB in bf16). So that this works best, the gradient goes through the row from
// its end: what was read last is read again first. Batch of 4096 tokens, vocab 102,400, bf16: between 1.7 GB or 0.50 ms and
// 2.5 GB or 0.75 ms of an H100's 3.35 TB/s. (Floors by arithmetic.)
// Beyond: never write the logits at all, with the last product and this in one kernel over pieces of the vocabulary.
#include <cfloat>

#include "cuda/core/reduce.hpp"
#include "cuda/core/vector.hpp"
#include "cuda/model/cross_entropy.hpp"
#include "cuda/model/cross_entropy/row.hpp"

namespace dsllm::cuda {
namespace {

constexpr int small = 128, large = 512;  // threads a block
constexpr int64_t small_vocab = 8192;
constexpr int in_flight = 2;  // vectors that a thread asks for before it uses the first

// A row as whole vectors and the loose logits at its ends, fewer than a vector each. Rows of a ragged vocabulary begin anywhere.
template <class T>
struct RowParts {
  int64_t head, vectors, loose;

  __device__ RowParts(const T* row, int64_t vocab) {
    constexpr int size = Vector<T>::size;
    head = (16 - reinterpret_cast<uintptr_t>(row) % 16) % 16 / sizeof(T);
    if (head > vocab) head = vocab;
    vectors = (vocab - head) / size;
    loose = vocab - vectors * size;
  }
  __device__ int64_t vector_at(int64_t v) const { return head + v * Vector<T>::size; }
  // The k-th loose logit, for k < loose: those of the head first.
  __device__ int64_t loose_at(int64_t k) const { return k < head ? k : k + vectors * Vector<T>::size; }
};

// Adds N logits to the sum: first their maximum, then one factor for the old sum.
template <int N>
__device__ void add_logits(const float (&z)[N], RowSum& r) {
  float max = r.max;
#pragma unroll
  for (int i = 0; i < N; ++i) max = z[i] > max ? z[i] : max;
  float sum = r.sum * expf(r.max - max);
#pragma unroll
  for (int i = 0; i < N; ++i) sum += expf(z[i] - max);
  r = {max, sum};
}

template <int Threads, class T>
__device__ RowSum sum_row(const T* row, const RowParts<T>& parts) {
  constexpr int size = Vector<T>::size;
  RowSum r{-FLT_MAX, 0};  // as in step 2: not minus infinity
  for (int64_t first = threadIdx.x; first < parts.vectors; first += in_flight * Threads) {
    Vector<T> z[in_flight];
#pragma unroll
    for (int u = 0; u < in_flight; ++u)
      if (first + u * Threads < parts.vectors) z[u] = load16(row + parts.vector_at(first + u * Threads));
#pragma unroll
    for (int u = 0; u < in_flight; ++u) {
      if (first + u * Threads >= parts.vectors) continue;
      float group[size];
#pragma unroll
      for (int i = 0; i < size; ++i) group[i] = static_cast<float>(z[u][i]);
      add_logits(group, r);
    }
  }
  if (static_cast<int64_t>(threadIdx.x) < parts.loose) {
    const float loose[1] = {static_cast<float>(row[parts.loose_at(threadIdx.x)])};
    add_logits(loose, r);
  }
  const float max = block_max<Threads>(r.max);
  return {max, block_sum<Threads>(r.sum * expf(r.max - max))};
}

template <int Threads, class T>
__global__ void __launch_bounds__(Threads, 1024 / Threads)
    losses_vectors(View<const T, 2> logits, View<const int32_t, 1> targets, View<float, 1> losses) {
  const int64_t n = logits.extent[0], vocab = logits.extent[1];
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    const T* row = logits.data + t * vocab;
    const int32_t target = targets.data[t];
    if (target == ignored_target) {
      if (threadIdx.x == 0) losses.data[t] = 0;
      continue;
    }
    const RowSum r = sum_row<Threads>(row, RowParts<T>(row, vocab));
    if (threadIdx.x == 0) losses.data[t] = loss_of(r, target_logit_of(row, vocab, target));
  }
}

template <int Threads, class T>
__device__ void clear_row(T* row, const RowParts<T>& parts) {
  Vector<T> zero;
#pragma unroll
  for (int i = 0; i < Vector<T>::size; ++i) zero[i] = T(0.0f);
  for (int64_t v = threadIdx.x; v < parts.vectors; v += Threads) store16(row + parts.vector_at(v), zero);
  if (static_cast<int64_t>(threadIdx.x) < parts.loose) row[parts.loose_at(threadIdx.x)] = T(0.0f);
}

// Row t has the factor scale, times sequence_scale[t / seq] if there is one. As in step 1, the target's logit is read before
// the barriers of the reductions, and so before anybody overwrites it.
template <int Threads, class T>
__global__ void __launch_bounds__(Threads, 1024 / Threads)
    gradients_vectors(View<T, 2> logits, View<const int32_t, 1> targets, float scale,
                      const float* sequence_scale, int64_t seq, View<float, 1> losses) {
  constexpr int size = Vector<T>::size;
  const int64_t n = logits.extent[0], vocab = logits.extent[1];
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    T* row = logits.data + t * vocab;
    const RowParts<T> parts(row, vocab);
    const int32_t target = targets.data[t];
    if (target == ignored_target) {
      clear_row<Threads>(row, parts);
      if (threadIdx.x == 0) losses.data[t] = 0;
      continue;
    }
    const float row_scale = sequence_scale == nullptr ? scale : scale * sequence_scale[t / seq];
    const float target_logit = target_logit_of(row, vocab, target);
    const RowSum r = sum_row<Threads>(static_cast<const T*>(row), parts);
    if (threadIdx.x == 0) losses.data[t] = loss_of(r, target_logit);
    const float factor = factor_of(r, row_scale, target_logit);

    if (static_cast<int64_t>(threadIdx.x) < parts.loose) {
      const int64_t j = parts.loose_at(threadIdx.x);
      row[j] = T(gradient_of(static_cast<float>(row[j]), r, factor, row_scale, j == target));
    }
    constexpr int64_t group = int64_t{in_flight} * Threads;
    for (int64_t g = ceil_div(parts.vectors, group) - 1; g >= 0; --g) {
      const int64_t first = g * group + threadIdx.x;
      Vector<T> z[in_flight];
#pragma unroll
      for (int u = 0; u < in_flight; ++u)
        if (first + u * Threads < parts.vectors) z[u] = load16(row + parts.vector_at(first + u * Threads));
#pragma unroll
      for (int u = 0; u < in_flight; ++u) {
        if (first + u * Threads >= parts.vectors) continue;
        const int64_t at = parts.vector_at(first + u * Threads);
#pragma unroll
        for (int i = 0; i < size; ++i)
          z[u][i] = T(gradient_of(static_cast<float>(z[u][i]), r, factor, row_scale, at + i == target));
        store16(row + at, z[u]);
      }
    }
  }
}

template <class T>
void launch_gradients(Out<T, 2> logits, View<const int32_t, 1> targets, double scale,
                      const float* sequence_scale, int64_t seq, View<float, 1> losses, Stream& stream) {
  if (logits.extent[0] == 0) return;
  const unsigned blocks = blocks_for_rows(logits.extent[0]);
  if (logits.extent[1] <= small_vocab)
    launch(stream, {blocks, small}, gradients_vectors<small, T>, logits, targets, static_cast<float>(scale),
           sequence_scale, seq, losses);
  else
    launch(stream, {blocks, large}, gradients_vectors<large, T>, logits, targets, static_cast<float>(scale),
           sequence_scale, seq, losses);
}

}  // namespace

template <class T>
void cross_entropy_forward(In<T, 2> logits, View<const int32_t, 1> targets, View<float, 1> losses,
                           Stream& stream) {
  check_cross_entropy<T>("cross_entropy_forward", logits, targets, losses);
  if (logits.extent[0] == 0) return;
  const unsigned blocks = blocks_for_rows(logits.extent[0]);
  if (logits.extent[1] <= small_vocab)
    launch(stream, {blocks, small}, losses_vectors<small, T>, logits, targets, losses);
  else
    launch(stream, {blocks, large}, losses_vectors<large, T>, logits, targets, losses);
}

template <class T>
void cross_entropy_forward_backward(Out<T, 2> logits, View<const int32_t, 1> targets, double scale,
                                    View<float, 1> losses, Stream& stream) {
  check_cross_entropy<T>("cross_entropy_forward_backward", logits, targets, losses);
  launch_gradients<T>(logits, targets, scale, nullptr, 1, losses, stream);
}

template <class T>
void cross_entropy_forward_backward_scaled(Out<T, 3> logits, View<const int32_t, 2> targets, double scale,
                                           View<const float, 1> sequence_scale, View<float, 2> losses,
                                           Stream& stream) {
  const char* operation = "cross_entropy_forward_backward_scaled";
  const int64_t batch = logits.extent[0], seq = logits.extent[1];
  check_shape(operation, "targets", targets, {batch, seq});
  check_shape(operation, "sequence_scale", sequence_scale, {batch});
  check_shape(operation, "losses", losses, {batch, seq});
  launch_gradients<T>(View<T, 2>(logits.data, {batch * seq, logits.extent[2]}), targets.flat(), scale,
                      sequence_scale.data, seq, losses.flat(), stream);
}

#define DSLLM_INSTANTIATE(T)                                                                                 \
  template void cross_entropy_forward<T>(In<T, 2>, View<const int32_t, 1>, View<float, 1>, Stream&);         \
  template void cross_entropy_forward_backward<T>(Out<T, 2>, View<const int32_t, 1>, double, View<float, 1>, \
                                                  Stream&);                                                  \
  template void cross_entropy_forward_backward_scaled<T>(Out<T, 3>, View<const int32_t, 2>, double,          \
                                                         View<const float, 1>, View<float, 2>, Stream&);
DSLLM_INSTANTIATE(float)
DSLLM_INSTANTIATE(bf16)
#undef DSLLM_INSTANTIATE

}  // namespace dsllm::cuda
