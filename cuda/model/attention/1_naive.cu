// Attention, step 1: as the equation stands, one kernel for each of its parts (paper, section 2.2).
//
//     s_ij = scale * q_i . k_j  (j <= i)        p_i = softmax(s_i)        y_i = sum_j p_ij v_j
//
//     q, y  [batch, seq, n_heads, d_head]     k, v  [batch, seq, n_kv_heads, d_head]     p  [batch, n_heads, seq, seq]
//
// Parallel over: scores and outputs one thread each; softmax one warp a row.
// FLOPs: 4 batch n_heads seq (seq + 1) / 2 d_head, half of them for the scores.
// Bytes: p is written, and its lower half read and written by the softmax and read once more: 4 + 12 / 2 = 10 bytes for each of
// batch n_heads seq^2 numbers, beside which q, k, v and y are little. For one layer of the 7B model (32 heads, seq 4096) that
// is 5.4 GB, so at least 1.6 ms of an H100's 3.35 TB/s, for 0.14 TFLOP that its tensor cores could do in 0.14 ms (989 TFLOPS). Floors by arithmetic, both.
// Next step: never write p. A row's maximum and sum can be kept up to date while the keys pass by.
#include "cuda/core/kernel.hpp"
#include "cuda/core/reduce.hpp"
#include "cuda/model/attention.hpp"
#include "cuda/model/attention/shapes.hpp"

namespace dsllm::cuda {
namespace {

// Thread (b, h, i, j): p_ij = s_ij, or 0 where j > i.
__global__ void scores(View<const float, 4> q, View<const float, 4> k, View<float, 4> p, float scale) {
  const int64_t seq = p.extent[2], n_heads = p.extent[1], d_head = q.extent[3], group = n_heads / k.extent[2];
  const int64_t index = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (index >= p.extent[0] * n_heads * seq * seq) return;
  const int64_t j = index % seq, i = index / seq % seq, h = index / (seq * seq) % n_heads,
                b = index / (seq * seq * n_heads);
  float s = 0;
  if (j <= i) {
    const float* qi = &q(b, i, h, 0);
    const float* kj = &k(b, j, h / group, 0);
    for (int64_t e = 0; e < d_head; ++e) s += qi[e] * kj[e];
  }
  p.data[index] = s * scale;
}

// Warp (b, h, i): the first i + 1 numbers of row i become their softmax. The maximum is taken off first, so that no exponential
// overflows.
__global__ void softmax_rows(View<float, 4> p) {
  const int64_t seq = p.extent[2];
  const int64_t row = (blockIdx.x * int64_t{blockDim.x} + threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x % 32);
  if (row >= p.extent[0] * p.extent[1] * seq) return;  // a whole warp returns, so nobody waits for it below
  const int64_t n = row % seq + 1;
  float* s = p.data + row * seq;

  float max = -INFINITY;
  for (int64_t j = lane; j < n; j += 32) max = fmaxf(max, s[j]);
  max = warp_max(max);
  float sum = 0;
  for (int64_t j = lane; j < n; j += 32) {
    s[j] = expf(s[j] - max);
    sum += s[j];
  }
  sum = warp_sum(sum);
  for (int64_t j = lane; j < n; j += 32) s[j] /= sum;
}

// Thread (b, i, h, e): y = sum over j <= i of p_ij v_j.
__global__ void outputs(View<const float, 4> p, View<const float, 4> v, View<float, 4> y) {
  const int64_t seq = y.extent[1], n_heads = y.extent[2], d_head = y.extent[3], group = n_heads / v.extent[2];
  const int64_t index = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (index >= y.extent[0] * seq * n_heads * d_head) return;
  const int64_t e = index % d_head, h = index / d_head % n_heads, i = index / (d_head * n_heads) % seq,
                b = index / (d_head * n_heads * seq);
  const float* pi = &p(b, h, i, 0);
  float sum = 0;
  for (int64_t j = 0; j <= i; ++j) sum += pi[j] * v(b, j, h / group, e);
  y.data[index] = sum;
}

unsigned blocks(int64_t threads) {
  return static_cast<unsigned>(ceil_div<int64_t>(threads, 256));
}

}  // namespace

void attention_naive_forward(View<const float, 4> q, View<const float, 4> k, View<const float, 4> v,
                             View<float, 4> p, View<float, 4> y, Stream& stream) {
  const AttentionShape s = attention_shape("attention_naive_forward", q, k, v, INT32_MAX);
  check_shape("attention_naive_forward", "p", p, {s.batch, s.n_heads, s.seq, s.seq});
  check_shape("attention_naive_forward", "y", y, {s.batch, s.seq, s.n_heads, s.d_head});
  if (s.queries() == 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(s.d_head)));
  launch(stream, {blocks(p.size()), 256}, scores, q, k, p, scale);
  launch(stream, {blocks(s.queries() * 32), 256}, softmax_rows, p);
  launch(stream, {blocks(y.size()), 256}, outputs, p, v, y);
}

}  // namespace dsllm::cuda
