// RMSNorm, step 3: one read of 16 bytes at a time, kept in registers.
//
//     inv_rms = 1 / sqrt(mean_j(x_j^2) + eps)        y_j = x_j * inv_rms * weight_j          (paper, section 2.2)
//
// x, y [n, d], weight [d], inv_rms [n]. A block takes a row and each thread 1, 2 or 4 vectors of 16 bytes of it, which it holds
// from the sum to the product. FLOPs: 4 n d. Bytes: x in, y out, each once; weight comes from the L2 cache. For n = 8192,
// d = 4096 in bf16 134 MB, 40 us on an H100 (3.35 TB/s; computed, not measured).
//
// To keep that memory busy about 2 MB must be under way (3.35 TB/s times a latency of 600 ns), 16 KiB for each of 132
// multiprocessors. Here a block of 256 threads asks for a whole row of 8 KiB before anybody waits, and eight such blocks are
// resident. The rest of the time is the addition that usually precedes the norm: step 4 takes it in.
#include "cuda/core/reduce.hpp"
#include "cuda/model/rmsnorm.hpp"
#include "cuda/model/rmsnorm/row.hpp"

namespace dsllm::cuda {
namespace {

template <class T, int Threads, int Vectors>
__global__ void __launch_bounds__(Threads)
    normalize_in_registers(View<const T, 2> x, View<const T, 1> weight, float eps, View<T, 2> y,
                           View<float, 1> inv_rms) {
  constexpr int size = Vector<T>::size;
  const int64_t n = x.extent[0], d = x.extent[1];
  const int vectors = static_cast<int>(d / size), thread = static_cast<int>(threadIdx.x);
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    // All loads first, those of the weight too, so that one wait serves them all.
    Vector<T> in[Vectors], w[Vectors];
#pragma unroll
    for (int k = 0; k < Vectors; ++k)
      if (const int v = thread + k * Threads; v < vectors) {
        in[k] = load16(x.data + t * d + v * size);
        w[k] = load16(weight.data + v * size);
      }
    float sum = 0;
#pragma unroll
    for (int k = 0; k < Vectors; ++k)
      if (thread + k * Threads < vectors) {
#pragma unroll
        for (int i = 0; i < size; ++i) sum += float(in[k][i]) * float(in[k][i]);
      }
    const float inv = rmsnorm::inverse_rms(block_sum<Threads>(sum), d, eps);
#pragma unroll
    for (int k = 0; k < Vectors; ++k)
      if (const int v = thread + k * Threads; v < vectors) {
        Vector<T> out;
#pragma unroll
        for (int i = 0; i < size; ++i) out[i] = T(float(in[k][i]) * inv * float(w[k][i]));
        store16(y.data + t * d + v * size, out);
      }
    if (thread == 0) inv_rms.data[t] = inv;
  }
}

template <class T>
bool fits(In<T, 2> x, In<T, 1> weight, Out<T, 2> y) {
  const int64_t d = x.extent[1];
  return fits16(x.data, d) && fits16(weight.data, d) && fits16(y.data, d) && d / Vector<T>::size <= 2048;
}

}  // namespace

template <class T>
void rmsnorm_forward_registers(In<T, 2> x, In<T, 1> weight, double eps, Out<T, 2> y, Out<float, 1> inv_rms,
                               Stream& stream) {
  constexpr const char* name = "rmsnorm_forward_registers";
  rmsnorm::check_forward<T>(name, x, weight, y, inv_rms);
  if (!fits<T>(x, weight, y))
    throw ShapeError(name, "rows of whole 16 bytes, 32 KiB at most, at multiples of 16 bytes",
                     describe_shape(x));
  const int64_t n = x.extent[0];
  if (n == 0) return;
  rmsnorm::with_row_shape<4>(
      x.extent[1] / Vector<T>::size, [&]<int Threads, int Vectors>(rmsnorm::RowShape<Threads, Vectors>) {
        launch(stream, {grid_of(n), Threads}, normalize_in_registers<T, Threads, Vectors>, x, weight,
               static_cast<float>(eps), y, inv_rms);
      });
}

template <class T>
void rmsnorm_forward(In<T, 2> x, In<T, 1> weight, double eps, Out<T, 2> y, Out<float, 1> inv_rms,
                     Stream& stream) {
  rmsnorm::check_forward<T>("rmsnorm_forward", x, weight, y, inv_rms);
  if (fits<T>(x, weight, y))
    rmsnorm_forward_registers<T>(x, weight, eps, y, inv_rms, stream);
  else
    rmsnorm_forward_block_per_row<T>(x, weight, eps, y, inv_rms, stream);
}

template void rmsnorm_forward_registers<float>(In<float, 2>, In<float, 1>, double, Out<float, 2>,
                                               Out<float, 1>, Stream&);
template void rmsnorm_forward_registers<bf16>(In<bf16, 2>, In<bf16, 1>, double, Out<bf16, 2>, Out<float, 1>,
                                              Stream&);
template void rmsnorm_forward<float>(In<float, 2>, In<float, 1>, double, Out<float, 2>, Out<float, 1>,
                                     Stream&);
template void rmsnorm_forward<bf16>(In<bf16, 2>, In<bf16, 1>, double, Out<bf16, 2>, Out<float, 1>, Stream&);

}  // namespace dsllm::cuda
