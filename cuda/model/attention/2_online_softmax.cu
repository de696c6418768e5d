// Attention, step 2: one pass over the keys, and no probability in memory (Milakov and Gimelshein 2018; Dao et al. 2022).
//
// A query keeps the maximum m of the scores so far, the sum l of exp(s_j - m), and y, the sum of exp(s_j - m) v_j. A tile of
// new scores with maximum m' changes what was there by one factor, since exp(s - m') = exp(s - m) exp(m - m'):
//
//     m' = max(m, max_j s_j)    c = exp(m - m')    l' = c l + sum_j exp(s_j - m')    y' = c y + sum_j exp(s_j - m') v_j
//
// and in the end y / l and lse = m + log l are what the plain softmax gives. Shapes as in attention.hpp; d_head at most 128.
//
// Parallel over: blocks of 16 queries of one head; 4 warps, each with 4 of the queries. For the scores a lane has one of the
// tile's 32 keys, for the sum it has up to 4 of the d_head columns.
// FLOPs: 4 batch n_heads seq (seq + 1) / 2 d_head. Bytes: q and y once, k and v once for every 16 queries; the L2 cache holds
// one head of them. At least (2 n_heads + 2 n_kv_heads) batch seq d_head numbers: for one layer of the 7B model in float (32
// heads of 128, seq 4096) 268 MB, 80 us of an H100's 3.35 TB/s. The arithmetic, 0.14 TFLOP, takes 2.1 ms on its ordinary cores
// (67 TFLOPS of float): that is the floor. Both by arithmetic, not measured.
// Next step: products of tiles on tensor cores, which are 15 times as fast.
#include "cuda/core/kernel.hpp"
#include "cuda/core/reduce.hpp"
#include "cuda/model/attention.hpp"
#include "cuda/model/attention/shapes.hpp"

namespace dsllm::cuda {
namespace {

constexpr int d_max = 128;
constexpr int tile = 32;  // keys: one a lane
constexpr int warps = 4;
constexpr int rows_per_warp = 4;
constexpr int block_rows = warps * rows_per_warp;
constexpr int columns = d_max / 32;  // of y that a lane keeps

// Rows of K begin one number further on than d_head: 32 lanes that read the same column of 32 rows then meet 32 banks.
int64_t shared_floats(int64_t d_head) {
  return block_rows * d_head + tile * (d_head + 1) + tile * d_head;
}

// Block (x, y) has queries 16 x .. of head y % n_heads of sequence y / n_heads.
template <class T>
__global__ void __launch_bounds__(32 * warps)
    online_softmax(View<const T, 4> q, View<const T, 4> k, View<const T, 4> v, View<T, 4> y,
                   View<float, 3> lse, float scale) {
  const int seq = static_cast<int>(q.extent[1]), n_heads = static_cast<int>(q.extent[2]);
  const int d = static_cast<int>(q.extent[3]);
  const int64_t b = blockIdx.y / n_heads, h = blockIdx.y % n_heads, g = h / (n_heads / k.extent[2]);
  const int first = static_cast<int>(blockIdx.x) * block_rows;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;

  float* sq = dynamic_shared<float>();  // [16, d], scaled
  float* sk = sq + block_rows * d;      // [32, d + 1]
  float* sv = sk + tile * (d + 1);      // [32, d]
  for (int i = static_cast<int>(threadIdx.x); i < block_rows * d; i += 32 * warps) {
    const int row = first + i / d;
    sq[i] = row < seq ? scale * static_cast<float>(q(b, row, h, i % d)) : 0.0f;
  }

  float max[rows_per_warp], sum[rows_per_warp], out[rows_per_warp][columns];
  for (int r = 0; r < rows_per_warp; ++r) {
    max[r] = -INFINITY;
    sum[r] = 0;
    for (int c = 0; c < columns; ++c) out[r][c] = 0;
  }

  const int last =
      min(first + block_rows, seq) - 1;  // the block's last query; keys after it concern nobody here
  for (int begin = 0; begin <= last; begin += tile) {
    __syncthreads();  // everybody is done with the tile before
    for (int i = static_cast<int>(threadIdx.x); i < tile * d; i += 32 * warps) {
      const int j = i / d, e = i % d;
      const bool exists = begin + j < seq;
      sk[j * (d + 1) + e] = exists ? static_cast<float>(k(b, begin + j, g, e)) : 0.0f;
      sv[i] = exists ? static_cast<float>(v(b, begin + j, g, e)) : 0.0f;
    }
    __syncthreads();

#pragma unroll
    for (int r = 0; r < rows_per_warp; ++r) {
      const int local = warp * rows_per_warp + r, row = first + local;
      float s = 0;
      for (int e = 0; e < d; ++e) s += sq[local * d + e] * sk[lane * (d + 1) + e];
      if (begin + lane > row) s = -INFINITY;
      // The first tile has key 0, which every query may see: from then on the maximum is finite.
      const float new_max = fmaxf(max[r], warp_max(s));
      const bool seen = new_max > -INFINITY;
      const float p = seen ? expf(s - new_max) : 0.0f;
      const float correction = seen ? expf(max[r] - new_max) : 1.0f;
      max[r] = new_max;
      sum[r] = sum[r] * correction + warp_sum(p);
#pragma unroll
      for (int c = 0; c < columns; ++c) out[r][c] *= correction;
      for (int j = 0; j < tile; ++j) {
        const float pj = __shfl_sync(0xffffffffu, p, j);
#pragma unroll
        for (int c = 0; c < columns; ++c)
          if (c * 32 + lane < d) out[r][c] += pj * sv[j * d + c * 32 + lane];
      }
    }
  }

#pragma unroll
  for (int r = 0; r < rows_per_warp; ++r) {
    const int row = first + warp * rows_per_warp + r;
    if (row >= seq) continue;
#pragma unroll
    for (int c = 0; c < columns; ++c)
      if (c * 32 + lane < d) y(b, row, h, c * 32 + lane) = static_cast<T>(out[r][c] / sum[r]);
    if (lane == 0) lse(b, h, row) = max[r] + logf(sum[r]);
  }
}

}  // namespace

template <class T>
void attention_online_forward(In<T, 4> q, In<T, 4> k, In<T, 4> v, Out<T, 4> y, View<float, 3> lse,
                              Stream& stream) {
  const AttentionShape s = attention_shape<T>("attention_online_forward", q, k, v, d_max);
  check_shape("attention_online_forward", "y", y, {s.batch, s.seq, s.n_heads, s.d_head});
  check_shape("attention_online_forward", "lse", lse, {s.batch, s.n_heads, s.seq});
  check_heads("attention_online_forward", s);
  if (s.queries() == 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(s.d_head)));
  const dim3 grid(static_cast<unsigned>(ceil_div<int64_t>(s.seq, block_rows)),
                  static_cast<unsigned>(s.batch * s.n_heads));
  launch(stream, {grid, 32 * warps, shared_floats(s.d_head) * 4}, online_softmax<T>, q, k, v, y, lse, scale);
}

template void attention_online_forward<float>(In<float, 4>, In<float, 4>, In<float, 4>, Out<float, 4>,
                                              View<float, 3>, Stream&);
template void attention_online_forward<bf16>(In<bf16, 4>, In<bf16, 4>, In<bf16, 4>, Out<bf16, 4>,
                                             View<float, 3>, Stream&);

template <>
void attention_forward<float>(In<float, 4> q, In<float, 4> k, In<float, 4> v, Out<float, 4> y,
                              View<float, 3> lse, Stream& stream) {
  attention_online_forward<float>(q, k, v, y, lse, stream);
}

template <>
void attention_forward<bf16>(In<bf16, 4> q, In<bf16, 4> k, In<bf16, 4> v, Out<bf16, 4> y, View<float, 3> lse,
                             Stream& stream) {
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  if ((q.extent[3] == 64 || q.extent[3] == 128) && aligned(q.data) && aligned(k.data) && aligned(v.data) &&
      aligned(y.data))
    attention_tensor_core_forward(q, k, v, y, lse, stream);
  else
    attention_online_forward<bf16>(q, k, v, y, lse, stream);
}

}  // namespace dsllm::cuda
