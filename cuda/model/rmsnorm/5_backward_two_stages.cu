// RMSNorm, step 5: the gradients, each in kernels of its own.
//
//     forward        y_tj = x_tj inv_t w_j
//     dweight        dw_j += sum_t dy_tj x_tj inv_t
//     dx             g_tj = dy_tj w_j        dx_tj = inv_t g_tj - x_tj (inv_t^3 / d) sum_i g_ti x_ti   (paper, section 2.2)
//
// dy, x, dx [n, d], weight, dweight [d], inv_rms [n]; partial [rmsnorm_backward_parts(n), d].
//
// dx is parallel over rows, as the forward pass is. dweight is a sum over rows, so a block would have to own a column, and
// there are too few columns to fill a GPU; with atomics the order of the additions, and so the bits, would change from run
// to run. Hence two stages: blocks add up parts of the rows, for 32 columns each; a second kernel adds up the parts. Both in an
// order that depends on n alone.
//
// FLOPs: 11 n d. Bytes: this step reads dy and x for dweight and again for dx and writes dx; at least they are read once: for
// n = 8192, d = 4096 in bf16 201 MB, 60 us on an H100 (3.35 TB/s; computed, not measured), and here at least 336 MB, 100 us. Step 6
// reads them once.
#include "cuda/core/reduce.hpp"
#include "cuda/model/rmsnorm.hpp"
#include "cuda/model/rmsnorm/columns.hpp"
#include "cuda/model/rmsnorm/row.hpp"

namespace dsllm::cuda {
namespace {

// Part r = blockIdx.y is the rows r, r + parts, r + 2 parts, ...; of these, warp w of 8 takes every eighth. A block has
// 32 columns, one a lane.
constexpr int warps = 8;
template <class T>
__global__ void sum_dweight_of_parts(View<const T, 2> dy, View<const T, 2> x, View<const float, 1> inv_rms,
                                     View<float, 2> partial) {
  __shared__ float sums[warps][32];
  const int64_t n = x.extent[0], d = x.extent[1];
  const int64_t j = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x;
  float sum = 0;
  if (j < d)
    for (int64_t t = blockIdx.y + static_cast<int64_t>(threadIdx.y) * gridDim.y; t < n;
         t += warps * gridDim.y)
      sum += float(dy.data[t * d + j]) * float(x.data[t * d + j]) * inv_rms.data[t];
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && j < d) {
    float total = 0;
#pragma unroll
    for (int w = 0; w < warps; ++w) total += sums[w][threadIdx.x];
    partial.data[blockIdx.y * d + j] = total;
  }
}

constexpr int threads = 256;
template <class T>
__global__ void dx_block_per_row(View<const T, 2> dy, View<const T, 2> x, View<const T, 1> weight,
                                 View<const float, 1> inv_rms, View<T, 2> dx) {
  const int64_t n = x.extent[0], d = x.extent[1];
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    float sum = 0;
    for (int64_t j = threadIdx.x; j < d; j += threads)
      sum += float(dy.data[t * d + j]) * float(weight.data[j]) * float(x.data[t * d + j]);
    const float g_dot_x = block_sum<threads>(sum), inv = inv_rms.data[t];
    const float back = inv * inv * inv * g_dot_x / static_cast<float>(d);
    for (int64_t j = threadIdx.x; j < d; j += threads)
      dx.data[t * d + j] =
          T(inv * float(dy.data[t * d + j]) * float(weight.data[j]) - float(x.data[t * d + j]) * back);
  }
}

}  // namespace

template <class T>
void rmsnorm_backward_two_stages(In<T, 2> dy, In<T, 2> x, In<T, 1> weight, In<float, 1> inv_rms, Out<T, 2> dx,
                                 Out<float, 1> dweight, Out<float, 2> partial, Stream& stream) {
  const int64_t n = x.extent[0], d = x.extent[1], parts = rmsnorm_backward_parts(n);
  rmsnorm::check_backward<T>("rmsnorm_backward_two_stages", dy, x, weight, inv_rms, dx, dweight, partial,
                             parts);
  if (n == 0 || d == 0) return;
  // dweight first, since dx may overwrite dy.
  const LaunchShape columns{dim3(grid_of(ceil_div<int64_t>(d, 32)), static_cast<unsigned>(parts)),
                            dim3(32, warps)};
  launch(stream, columns, sum_dweight_of_parts<T>, dy, x, inv_rms, partial);
  rmsnorm::launch_add_partials(partial, dweight, stream);
  launch(stream, {grid_of(n), threads}, dx_block_per_row<T>, dy, x, weight, inv_rms, dx);
}

template void rmsnorm_backward_two_stages<float>(In<float, 2>, In<float, 2>, In<float, 1>, In<float, 1>,
                                                 Out<float, 2>, Out<float, 1>, Out<float, 2>, Stream&);
template void rmsnorm_backward_two_stages<bf16>(In<bf16, 2>, In<bf16, 2>, In<bf16, 1>, In<float, 1>,
                                                Out<bf16, 2>, Out<float, 1>, Out<float, 2>, Stream&);

}  // namespace dsllm::cuda
