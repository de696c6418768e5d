// RMSNorm, step 6: both gradients from one read of dy and x.
//
//     dweight        dw_j += sum_t dy_tj x_tj inv_t
//     dx             g_tj = dy_tj w_j        dx_tj = inv_t g_tj - x_tj (inv_t^3 / d) sum_i g_ti x_ti   (paper, section 2.2)
//
// dy, x, dx [n, d], weight, dweight [d], inv_rms [n]; partial [parts, d], parts = rmsnorm_backward_parts(n). There is one block
// for each part. It walks over the rows of its part; a thread always has the same columns, so it keeps their weights and
// their sums of dweight in registers and stores the sums once, at the end. A second kernel adds up the parts, in order.
//
// FLOPs: 11 n d. Bytes: dy and x in, dx out; for n = 8192, d = 4096 in bf16 201 MB, 60 us on an H100 (3.35 TB/s; computed, not
// measured). Beside them 2 x 4 parts d bytes for the partial sums, 9 MB.
//
// Two blocks on a multiprocessor ask for 32 KiB at a time where rows have 4096 numbers in bf16, which is more than the 16 KiB that
// keep the memory busy. Rows of less than 2048 numbers ask for less than that: they would want more parts.
#include "cuda/core/reduce.hpp"
#include "cuda/model/rmsnorm.hpp"
#include "cuda/model/rmsnorm/columns.hpp"
#include "cuda/model/rmsnorm/row.hpp"

namespace dsllm::cuda {
namespace {

template <class T, int Threads, int Vectors>
__global__ void __launch_bounds__(Threads)
    gradients_in_registers(View<const T, 2> dy, View<const T, 2> x, View<const T, 1> weight,
                           View<const float, 1> inv_rms, View<T, 2> dx, View<float, 2> partial) {
  constexpr int size = Vector<T>::size;
  const int64_t n = x.extent[0], d = x.extent[1];
  const int vectors = static_cast<int>(d / size), thread = static_cast<int>(threadIdx.x);
  Vector<T> w[Vectors];
  float dw[Vectors][size] = {};
#pragma unroll
  for (int k = 0; k < Vectors; ++k)
    if (const int v = thread + k * Threads; v < vectors) w[k] = load16(weight.data + v * size);

  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    Vector<T> in[Vectors], grad[Vectors];
#pragma unroll
    for (int k = 0; k < Vectors; ++k)
      if (const int v = thread + k * Threads; v < vectors) {
        grad[k] = load16(dy.data + t * d + v * size);
        in[k] = load16(x.data + t * d + v * size);
      }
    const float inv = inv_rms.data[t];
    float sum = 0;
#pragma unroll
    for (int k = 0; k < Vectors; ++k)
      if (thread + k * Threads < vectors) {
#pragma unroll
        for (int i = 0; i < size; ++i) {
          sum += float(grad[k][i]) * float(w[k][i]) * float(in[k][i]);
          dw[k][i] += float(grad[k][i]) * float(in[k][i]) * inv;
        }
      }
    const float g_dot_x = block_sum<Threads>(sum);
    const float back = inv * inv * inv * g_dot_x / static_cast<float>(d);
#pragma unroll
    for (int k = 0; k < Vectors; ++k)
      if (const int v = thread + k * Threads; v < vectors) {
        Vector<T> out;
#pragma unroll
        for (int i = 0; i < size; ++i)
          out[i] = T(inv * float(grad[k][i]) * float(w[k][i]) - float(in[k][i]) * back);
        store16(dx.data + t * d + v * size, out);
      }
  }

  // In bf16 a thread has eight neighbouring sums, so each of its two stores leaves gaps: 32 sectors a request in place of 16. That is
  // once a block, and the second store fills the gaps while the sectors are still in the L2 cache.
  float* part = partial.data + blockIdx.x * d;
#pragma unroll
  for (int k = 0; k < Vectors; ++k)
    if (const int v = thread + k * Threads; v < vectors) {
#pragma unroll
      for (int i = 0; i < size; i += 4) {
        Vector<float> out;
#pragma unroll
        for (int l = 0; l < 4; ++l) out[l] = dw[k][i + l];
        store16(part + v * size + i, out);
      }
    }
}

// A thread keeps at most 16 columns. With blocks of 256 threads (d up to 4096) that leaves registers for two blocks on a
// multiprocessor; with 512 (d up to 8192) for one, and the parts take two rounds.
template <class T>
constexpr int max_vectors = 16 / Vector<T>::size;

template <class T>
bool fits(In<T, 2> dy, In<T, 2> x, In<T, 1> weight, Out<T, 2> dx, Out<float, 2> partial) {
  const int64_t d = x.extent[1];
  return fits16(dy.data, d) && fits16(x.data, d) && fits16(weight.data, d) && fits16(dx.data, d) &&
         fits16(partial.data, d) && d <= 8192;
}

}  // namespace

template <class T>
void rmsnorm_backward_registers(In<T, 2> dy, In<T, 2> x, In<T, 1> weight, In<float, 1> inv_rms, Out<T, 2> dx,
                                Out<float, 1> dweight, Out<float, 2> partial, Stream& stream) {
  constexpr const char* name = "rmsnorm_backward_registers";
  const int64_t n = x.extent[0], d = x.extent[1], parts = rmsnorm_backward_parts(n);
  rmsnorm::check_backward<T>(name, dy, x, weight, inv_rms, dx, dweight, partial, parts);
  if (!fits<T>(dy, x, weight, dx, partial))
    throw ShapeError(name, "rows of whole 16 bytes, at most 8192 wide, at multiples of 16 bytes",
                     describe_shape(x));
  if (n == 0 || d == 0) return;
  rmsnorm::with_row_shape<max_vectors<T>>(
      d / Vector<T>::size, [&]<int Threads, int Vectors>(rmsnorm::RowShape<Threads, Vectors>) {
        launch(stream, {grid_of(parts), Threads}, gradients_in_registers<T, Threads, Vectors>, dy, x, weight,
               inv_rms, dx, partial);
      });
  rmsnorm::launch_add_partials(partial, dweight, stream);
}

template <class T>
void rmsnorm_backward(In<T, 2> dy, In<T, 2> x, In<T, 1> weight, In<float, 1> inv_rms, Out<T, 2> dx,
                      Out<float, 1> dweight, Out<float, 2> partial, Stream& stream) {
  rmsnorm::check_backward<T>("rmsnorm_backward", dy, x, weight, inv_rms, dx, dweight, partial,
                             rmsnorm_backward_parts(x.extent[0]));
  if (fits<T>(dy, x, weight, dx, partial))
    rmsnorm_backward_registers<T>(dy, x, weight, inv_rms, dx, dweight, partial, stream);
  else
    rmsnorm_backward_two_stages<T>(dy, x, weight, inv_rms, dx, dweight, partial, stream);
}

template void rmsnorm_backward_registers<float>(In<float, 2>, In<float, 2>, In<float, 1>, In<float, 1>,
                                                Out<float, 2>, Out<float, 1>, Out<float, 2>, Stream&);
template void rmsnorm_backward_registers<bf16>(In<bf16, 2>, In<bf16, 2>, In<bf16, 1>, In<float, 1>,
                                               Out<bf16, 2>, Out<float, 1>, Out<float, 2>, Stream&);
template void rmsnorm_backward<float>(In<float, 2>, In<float, 2>, In<float, 1>, In<float, 1>, Out<float, 2>,
                                      Out<float, 1>, Out<float, 2>, Stream&);
template void rmsnorm_backward<bf16>(In<bf16, 2>, In<bf16, 2>, In<bf16, 1>, In<float, 1>, Out<bf16, 2>,
                                     Out<float, 1>, Out<float, 2>, Stream&);

}  // namespace dsllm::cuda
