// Attention, step 3: flash attention on tensor cores (Dao 2023), forward, bf16 with sums in float.
//
// The online softmax of step 2 over tiles of 64 queries and 64 keys. A warp has 16 queries and all of the tile's keys:
//
//     S [16, 64] = Q [16, d] K^T [d, 64]       d / 16 * 8 products of tiles, m16n8k16
//     P = exp(S - m)  in bf16
//     Y [16, d] += P [16, 64] V [64, d]        4 * d / 8 of them
//
// What an mma leaves in registers (fragment C) is laid out as the next one takes it (fragment A), so P never leaves them.
// Shapes as in attention.hpp; d_head is 64 or 128.
//
// Parallel over: blocks of 64 queries of one head, longest first; 4 warps.
// FLOPs: 4 batch n_heads seq (seq + 64) / 2 d_head; the 64 is the part of the diagonal tiles that is computed and masked.
// Bytes: q and y once, k and v once for 64 queries, from the L2 cache mostly; at least
// (2 n_heads + 2 n_kv_heads) batch seq d_head * 2. For one layer of the 7B model (32 heads of 128, seq 4096): 134 MB, 40 us of an
// H100's 3.35 TB/s; 0.14 TFLOP, 0.14 ms of its 989 TFLOPS: that is the floor. By arithmetic, not measured.
// Next: on sm_90 wgmma and TMA, which keep the tensor cores fed from shared memory (FlashAttention-3); two tiles of K and V in
// flight; and the backward pass.
#include "cuda/core/async_copy.hpp"
#include "cuda/core/kernel.hpp"
#include "cuda/core/tensor_core.hpp"
#include "cuda/core/vector.hpp"
#include "cuda/model/attention.hpp"
#include "cuda/model/attention/shapes.hpp"

namespace dsllm::cuda {
namespace {

constexpr int tile = 64;  // queries and keys
constexpr int threads = 128;
constexpr float log2_e = 1.4426950408889634f;

// Rows in shared memory are 16 bytes longer than d: eight rows of a matrix then begin in eight different groups of four banks,
// and ldmatrix reads them at once.
template <int D>
constexpr int pitch = D + 8;

// Rows first .. first + 63 of head h, as [64, pitch]; those that do not exist as zeros. One group of copies.
template <int D>
__device__ void load_tile(bf16* shared, const View<const bf16, 4>& x, int64_t b, int64_t h, int first) {
  const int seq = static_cast<int>(x.extent[1]);
  constexpr int per_row = D / 8;  // copies of 16 bytes
  for (int i = static_cast<int>(threadIdx.x); i < tile * per_row; i += threads) {
    const int row = i / per_row, column = i % per_row * 8;
    const bool exists = first + row < seq;
    const bf16* from = x.data + ((b * seq + (exists ? first + row : 0)) * x.extent[2] + h) * D + column;
    copy_async16(shared + row * pitch<D> + column, from, exists);
  }
  commit_copies();
}

template <int D>
__global__ void __launch_bounds__(threads)
    flash_forward(View<const bf16, 4> q, View<const bf16, 4> k, View<const bf16, 4> v, View<bf16, 4> y,
                  View<float, 3> lse, float scale) {
  const int seq = static_cast<int>(q.extent[1]), n_heads = static_cast<int>(q.extent[2]);
  const int64_t b = blockIdx.y / n_heads, h = blockIdx.y % n_heads, g = h / (n_heads / k.extent[2]);
  // The last queries have most keys. They begin first, so that no long block is left over at the end.
  const int block = static_cast<int>(gridDim.x - 1 - blockIdx.x), first = block * tile;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int quad = lane / 4, in_quad = lane % 4;  // g and t of the fragments

  bf16* sq = dynamic_shared<bf16>();
  bf16* sk = sq + tile * pitch<D>;
  bf16* sv = sk + tile * pitch<D>;

  load_tile<D>(sq, q, b, h, first);
  wait_copies<0>();
  __syncthreads();
  uint32_t qa[D / 16][4];  // the warp's 16 queries as fragments A
#pragma unroll
  for (int kk = 0; kk < D / 16; ++kk)
    ldmatrix(qa[kk], sq + (warp * 16 + lane % 16) * pitch<D> + kk * 16 + lane / 16 * 8);

  // Fragments C have two rows of the tile a lane: quad and quad + 8.
  float out[D / 8][4] = {};
  float max[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
  // exp(scale (s - m)) = 2^(scale log2(e) (s - m)): the hardware's exponential has the base 2.
  const float scale_log2 = scale * log2_e;

  for (int j = 0; j <= block; ++j) {
    __syncthreads();  // everybody is done with the tiles before
    load_tile<D>(sk, k, b, g, j * tile);
    load_tile<D>(sv, v, b, g, j * tile);
    wait_copies<1>();  // K is here; V is still on its way
    __syncthreads();

    float s[8][4] = {};
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
      for (int kk = 0; kk < D / 16; kk += 2) {
        uint32_t kb[4];  // of 8 keys: 32 columns, two fragments B
        ldmatrix(kb, sk + (n * 8 + lane % 8) * pitch<D> + kk * 16 + lane / 8 * 8);
        mma_bf16(s[n], qa[kk], {kb[0], kb[1]});
        mma_bf16(s[n], qa[kk + 1], {kb[2], kb[3]});
      }
    // Only the last tile has keys after a query (and keys beyond the sequence).
    if (j == block)
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          if (n * 8 + in_quad * 2 + e % 2 > warp * 16 + quad + e / 2 * 8) s[n][e] = -INFINITY;

#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float new_max = max[r];
#pragma unroll
      for (int n = 0; n < 8; ++n) new_max = fmaxf(new_max, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
      // The four lanes of a quad have the row between them.
      new_max = fmaxf(new_max, __shfl_xor_sync(0xffffffffu, new_max, 1));
      new_max = fmaxf(new_max, __shfl_xor_sync(0xffffffffu, new_max, 2));
      const float correction = exp2f((max[r] - new_max) * scale_log2);
      max[r] = new_max;
      float part = 0;  // of the sum: this lane's columns; the quad is added up at the end
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int e = 2 * r; e < 2 * r + 2; ++e) {
          s[n][e] = exp2f((s[n][e] - new_max) * scale_log2);
          part += s[n][e];
        }
      sum[r] = sum[r] * correction + part;
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        out[n][2 * r] *= correction;
        out[n][2 * r + 1] *= correction;
      }
    }

    wait_copies<0>();
    __syncthreads();
#pragma unroll
    for (int kk = 0; kk < tile / 16; ++kk) {
      const uint32_t p[4] = {pack_bf16(s[2 * kk][0], s[2 * kk][1]), pack_bf16(s[2 * kk][2], s[2 * kk][3]),
                             pack_bf16(s[2 * kk + 1][0], s[2 * kk + 1][1]),
                             pack_bf16(s[2 * kk + 1][2], s[2 * kk + 1][3])};
#pragma unroll
      for (int n = 0; n < D / 8; n += 2) {
        uint32_t vb[4];  // 16 keys: 16 columns, two fragments B
        ldmatrix_transposed(vb, sv + (kk * 16 + lane % 16) * pitch<D> + n * 8 + lane / 16 * 8);
        mma_bf16(out[n], p, {vb[0], vb[1]});
        mma_bf16(out[n + 1], p, {vb[2], vb[3]});
      }
    }
  }

  // Through shared memory, so that rows leave in pieces of 16 bytes. The warp's rows of Q are its own: no barrier is needed.
  bf16* mine = sq + warp * 16 * pitch<D>;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
    sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
    const float inverse = 1 / sum[r];
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
      const uint32_t pair = pack_bf16(out[n][2 * r] * inverse, out[n][2 * r + 1] * inverse);
      *reinterpret_cast<uint32_t*>(mine + (quad + 8 * r) * pitch<D> + n * 8 + in_quad * 2) = pair;
    }
    const int row = first + warp * 16 + quad + 8 * r;
    if (in_quad == 0 && row < seq) lse(b, h, row) = max[r] * scale + logf(sum[r]);
  }
  __syncwarp();
  constexpr int per_row = D / 8;
  for (int i = lane; i < 16 * per_row; i += 32) {
    const int row = first + warp * 16 + i / per_row, column = i % per_row * 8;
    if (row < seq) store16(&y(b, row, h, column), load16(mine + i / per_row * pitch<D> + column));
  }
}

template <int D>
void run(View<const bf16, 4> q, View<const bf16, 4> k, View<const bf16, 4> v, View<bf16, 4> y,
         View<float, 3> lse, Stream& stream) {
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(D)));
  const dim3 grid(static_cast<unsigned>(ceil_div<int64_t>(q.extent[1], tile)),
                  static_cast<unsigned>(q.extent[0] * q.extent[2]));
  launch(stream, {grid, threads, 3 * tile * pitch<D> * int64_t{sizeof(bf16)}}, flash_forward<D>, q, k, v, y,
         lse, scale);
}

}  // namespace

void attention_tensor_core_forward(View<const bf16, 4> q, View<const bf16, 4> k, View<const bf16, 4> v,
                                   View<bf16, 4> y, View<float, 3> lse, Stream& stream) {
  const char* const operation = "attention_tensor_core_forward";
  const AttentionShape s = attention_shape(operation, q, k, v, 128);
  check_shape(operation, "y", y, {s.batch, s.seq, s.n_heads, s.d_head});
  check_shape(operation, "lse", lse, {s.batch, s.n_heads, s.seq});
  if (s.d_head != 64 && s.d_head != 128)
    throw ShapeError(operation, "d_head of 64 or 128", std::to_string(s.d_head));
  for (const void* p : {static_cast<const void*>(q.data), static_cast<const void*>(k.data),
                        static_cast<const void*>(v.data), static_cast<const void*>(y.data)})
    if (const auto address = reinterpret_cast<uintptr_t>(p); address % 16 != 0)
      throw ValueError(operation, "addresses that are multiples of 16", std::to_string(address));
  check_heads(operation, s);
  if (s.queries() == 0) return;
  if (s.d_head == 64)
    run<64>(q, k, v, y, lse, stream);
  else
    run<128>(q, k, v, y, lse, stream);
}

}  // namespace dsllm::cuda
