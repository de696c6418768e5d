// RMSNorm, step 4: with the addition that precedes it.
//
//     h = x + residual        inv_rms = 1 / sqrt(mean_j(h_j^2) + eps)        y_j = h_j * inv_rms * weight_j
//                                                                                              (paper, section 2.2)
// x, residual, h, y [n, d], weight [d], inv_rms [n]. Each half of a transformer block ends with such a sum, and the next half
// begins with the norm of it. The grid is parallel over n. FLOPs: 5 n d. Bytes: two rows in, two out; for n = 8192, d = 4096 in
// bf16 268 MB, 80 us on an H100 (3.35 TB/s; computed, not measured). An addition on its own and step 3 after it move five
// rows in place of four: h would be written and read again.
//
// y is computed from the sum in float; h is rounded to T only to be stored. Next step: the gradients.
#include "cuda/core/reduce.hpp"
#include "cuda/model/rmsnorm.hpp"
#include "cuda/model/rmsnorm/row.hpp"

namespace dsllm::cuda {
namespace {

template <class T, int Threads, int Vectors>
__global__ void __launch_bounds__(Threads)
    add_and_normalize_in_registers(View<const T, 2> x, View<const T, 2> residual, View<const T, 1> weight,
                                   float eps, View<T, 2> h, View<T, 2> y, View<float, 1> inv_rms) {
  constexpr int size = Vector<T>::size;
  const int64_t n = x.extent[0], d = x.extent[1];
  const int vectors = static_cast<int>(d / size), thread = static_cast<int>(threadIdx.x);
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    Vector<T> a[Vectors], b[Vectors], w[Vectors];
#pragma unroll
    for (int k = 0; k < Vectors; ++k)
      if (const int v = thread + k * Threads; v < vectors) {
        a[k] = load16(x.data + t * d + v * size);
        b[k] = load16(residual.data + t * d + v * size);
        w[k] = load16(weight.data + v * size);
      }
    float total[Vectors][size], sum = 0;
#pragma unroll
    for (int k = 0; k < Vectors; ++k)
      if (const int v = thread + k * Threads; v < vectors) {
        Vector<T> rounded;
#pragma unroll
        for (int i = 0; i < size; ++i) {
          total[k][i] = float(a[k][i]) + float(b[k][i]);
          rounded[i] = T(total[k][i]);
          sum += total[k][i] * total[k][i];
        }
        store16(h.data + t * d + v * size, rounded);
      }
    const float inv = rmsnorm::inverse_rms(block_sum<Threads>(sum), d, eps);
#pragma unroll
    for (int k = 0; k < Vectors; ++k)
      if (const int v = thread + k * Threads; v < vectors) {
        Vector<T> out;
#pragma unroll
        for (int i = 0; i < size; ++i) out[i] = T(total[k][i] * inv * float(w[k][i]));
        store16(y.data + t * d + v * size, out);
      }
    if (thread == 0) inv_rms.data[t] = inv;
  }
}

// Any d and any alignment. Nothing is stored before the second pass, since h may be x: what a thread overwrites then is read
// by nobody else.
constexpr int threads = 256;
template <class T>
__global__ void add_and_normalize_block_per_row(View<const T, 2> x, View<const T, 2> residual,
                                                View<const T, 1> weight, float eps, View<T, 2> h,
                                                View<T, 2> y, View<float, 1> inv_rms) {
  const int64_t n = x.extent[0], d = x.extent[1];
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    float sum = 0;
    for (int64_t j = t * d + threadIdx.x; j < (t + 1) * d; j += threads) {
      const float total = float(x.data[j]) + float(residual.data[j]);
      sum += total * total;
    }
    const float inv = rmsnorm::inverse_rms(block_sum<threads>(sum), d, eps);
    for (int64_t j = threadIdx.x; j < d; j += threads) {
      const float total = float(x.data[t * d + j]) + float(residual.data[t * d + j]);
      h.data[t * d + j] = T(total);
      y.data[t * d + j] = T(total * inv * float(weight.data[j]));
    }
    if (threadIdx.x == 0) inv_rms.data[t] = inv;
  }
}

}  // namespace

template <class T>
void rmsnorm_residual_forward(In<T, 2> x, In<T, 2> residual, In<T, 1> weight, double eps, Out<T, 2> h,
                              Out<T, 2> y, Out<float, 1> inv_rms, Stream& stream) {
  constexpr const char* name = "rmsnorm_residual_forward";
  const int64_t n = x.extent[0], d = x.extent[1];
  check_shape(name, "residual", residual, {n, d});
  check_shape(name, "h", h, {n, d});
  rmsnorm::check_forward<T>(name, x, weight, y, inv_rms);
  if (n == 0) return;
  const float epsilon = static_cast<float>(eps);
  const bool fits = fits16(x.data, d) && fits16(residual.data, d) && fits16(weight.data, d) &&
                    fits16(h.data, d) && fits16(y.data, d);
  const bool done =
      fits && rmsnorm::with_row_shape<4>(
                  d / Vector<T>::size, [&]<int Threads, int Vectors>(rmsnorm::RowShape<Threads, Vectors>) {
                    launch(stream, {grid_of(n), Threads}, add_and_normalize_in_registers<T, Threads, Vectors>,
                           x, residual, weight, epsilon, h, y, inv_rms);
                  });
  if (!done)
    launch(stream, {grid_of(n), threads}, add_and_normalize_block_per_row<T>, x, residual, weight, epsilon, h,
           y, inv_rms);
}

template void rmsnorm_residual_forward<float>(In<float, 2>, In<float, 2>, In<float, 1>, double, Out<float, 2>,
                                              Out<float, 2>, Out<float, 1>, Stream&);
template void rmsnorm_residual_forward<bf16>(In<bf16, 2>, In<bf16, 2>, In<bf16, 1>, double, Out<bf16, 2>,
                                             Out<bf16, 2>, Out<float, 1>, Stream&);

}  // namespace dsllm::cuda
