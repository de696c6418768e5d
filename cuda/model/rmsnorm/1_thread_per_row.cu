// RMSNorm, step 1: one thread a row.
//
//     inv_rms = 1 / sqrt(mean_j(x_j^2) + eps)        y_j = x_j * inv_rms * weight_j          (paper, section 2.2)
//
// x, y [n, d], weight [d], inv_rms [n]. The grid is parallel over n. FLOPs: 4 n d. Bytes at least: x in, y out. For n = 8192,
// d = 4096 in bf16 that is 134 MB: 40 us on an H100 (3.35 TB/s), a floor that is computed here, not measured.
//
// The equation as it stands, and slow for two reasons. At each moment the 32 lanes of a warp read column j of 32 different
// rows: 32 sectors of 32 bytes for 64 bytes that are used at once, and the rest of each sector has to survive in the cache
// until its turn comes. And a batch has a few thousand rows, while an H100 runs 270,000 threads. Step 2 gives a row to a
// block.
#include "cuda/model/rmsnorm.hpp"
#include "cuda/model/rmsnorm/row.hpp"

namespace dsllm::cuda {
namespace {

template <class T>
__global__ void normalize_thread_per_row(View<const T, 2> x, View<const T, 1> weight, float eps, View<T, 2> y,
                                         View<float, 1> inv_rms) {
  const int64_t n = x.extent[0], d = x.extent[1];
  const int64_t t = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (t >= n) return;
  const T* in = x.data + t * d;
  float sum = 0;
  for (int64_t j = 0; j < d; ++j) {
    const float v = in[j];
    sum += v * v;
  }
  const float inv = rmsnorm::inverse_rms(sum, d, eps);
  for (int64_t j = 0; j < d; ++j) y.data[t * d + j] = T(float(in[j]) * inv * float(weight.data[j]));
  inv_rms.data[t] = inv;
}

}  // namespace

template <class T>
void rmsnorm_forward_thread_per_row(In<T, 2> x, In<T, 1> weight, double eps, Out<T, 2> y,
                                    Out<float, 1> inv_rms, Stream& stream) {
  rmsnorm::check_forward<T>("rmsnorm_forward_thread_per_row", x, weight, y, inv_rms);
  const int64_t n = x.extent[0];
  constexpr int threads = 128;
  if (n == 0) return;
  launch(stream, {grid_of(ceil_div<int64_t>(n, threads)), threads}, normalize_thread_per_row<T>, x, weight,
         static_cast<float>(eps), y, inv_rms);
}

template void rmsnorm_forward_thread_per_row<float>(In<float, 2>, In<float, 1>, double, Out<float, 2>,
                                                    Out<float, 1>, Stream&);
template void rmsnorm_forward_thread_per_row<bf16>(In<bf16, 2>, In<bf16, 1>, double, Out<bf16, 2>,
                                                   Out<float, 1>, Stream&);

}  // namespace dsllm::cuda
