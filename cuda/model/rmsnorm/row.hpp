// What the steps of RMSNorm share: the end of the sum, the shapes that are checked, and how a row is laid out over a block's
// registers.
#pragma once

#include "cuda/core/kernel.hpp"
#include "cuda/core/vector.hpp"

namespace dsllm::cuda::rmsnorm {

// 1 / sqrt(mean + eps). Once a row, so it can afford the exact root and division.
__device__ inline float inverse_rms(float sum_of_squares, int64_t d, float eps) {
  return 1.0f / sqrtf(sum_of_squares / static_cast<float>(d) + eps);
}

template <class T>
void check_forward(const char* operation, In<T, 2> x, In<T, 1> weight, Out<T, 2> y, Out<float, 1> inv_rms) {
  const int64_t n = x.extent[0], d = x.extent[1];
  check_shape(operation, "weight", weight, {d});
  check_shape(operation, "y", y, {n, d});
  check_shape(operation, "inv_rms", inv_rms, {n});
}

template <class T>
void check_backward(const char* operation, In<T, 2> dy, In<T, 2> x, In<T, 1> weight, In<float, 1> inv_rms,
                    Out<T, 2> dx, Out<float, 1> dweight, Out<float, 2> partial, int64_t parts) {
  const int64_t n = x.extent[0], d = x.extent[1];
  check_shape(operation, "dy", dy, {n, d});
  check_shape(operation, "weight", weight, {d});
  check_shape(operation, "inv_rms", inv_rms, {n});
  check_shape(operation, "dx", dx, {n, d});
  check_shape(operation, "dweight", dweight, {d});
  check_shape(operation, "partial", partial, {parts, d});
}

// A row of d / Vector<T>::size vectors, kept by a block: thread i holds the vectors i, i + Threads, i + 2 Threads, ... , so
// that the lanes of a warp read neighbouring addresses.
template <int Threads, int Vectors>
struct RowShape {
  static constexpr int threads = Threads;
  static constexpr int vectors = Vectors;  // a thread
};

// f(RowShape) with the smallest block that keeps a row of `vectors` vectors when a thread keeps MaxVectors of them at most.
// False if none does. More threads than needed would idle; more vectors a thread cost registers, and with them resident
// warps.
template <int MaxVectors, class F>
bool with_row_shape(int64_t vectors, const F& f) {
  static_assert(MaxVectors == 2 || MaxVectors == 4);
  if (vectors <= 32) return f(RowShape<32, 1>()), true;
  if (vectors <= 128) return f(RowShape<128, 1>()), true;
  if (vectors <= 256) return f(RowShape<256, 1>()), true;
  if (vectors <= 512) return f(RowShape<256, 2>()), true;
  if constexpr (MaxVectors == 2) {
    if (vectors <= 1024) return f(RowShape<512, 2>()), true;
  } else {
    if (vectors <= 1024) return f(RowShape<256, 4>()), true;
    if (vectors <= 2048) return f(RowShape<512, 4>()), true;
  }
  return false;
}

}  // namespace dsllm::cuda::rmsnorm
