// The gradient's global norm over many tensors, in two deterministic stages, and its clipping (paper, section 2.3).
//
//     partial_p = sum over piece p of g^2      norm = sqrt(sum_p partial_p)      g <- g * max_norm / norm  if norm > max_norm
//
//     tensors of any sizes, cut into P pieces      partial [P]      norm, scale [1]
//
// Parallel over: stage 1 pieces, one block each; stage 2 one block for all partial sums; the scaling pieces again.
// FLOPs: 2 n for the norm, n for the scaling.
// Bytes: 4 n for the norm; 8 n for the scaling, where it is done at all. For the 7B model's 6.9e9 gradients the norm reads 28 GB
// and takes at least 8.3 ms of an H100's 3.35 TB/s; stage 2 reads 1.7 MB. (Floors by arithmetic.)
//
// Next: no scaling pass. adamw.cu takes the scale and applies it to the gradients that it reads anyway.
//
// Why two stages, and not one atomic addition a block: floating-point sums depend on their order, atomics come in any, and two
// runs from the same seed would part after the first step. Here each sum has one order. A second kernel is also the
// barrier between all blocks that a single kernel does not have. Why double: the square of a gradient of 1e20 is no float, and
// on this device 4 bytes take longer to arrive than to be squared in double.
#include <string>

#include <cmath>

#include "cuda/core/reduce.hpp"
#include "cuda/core/vector.hpp"
#include "cuda/train/grad_clip.hpp"
#include "ref/core/error.hpp"

namespace dsllm::cuda {
namespace {

constexpr int threads = 256, final_threads = 1024;

struct Piece {
  float* data;
  int64_t size;
};

// Piece `index` of the list: the last row whose first piece is not after it. (A tensor without elements has no piece: the row
// after it begins at the same one.)
__device__ Piece find_piece(View<const TensorList::Row, 1> rows, int64_t index) {
  int64_t low = 0, high = rows.extent[0];
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (rows.data[middle].first_piece <= index ? low : high) = middle;
  }
  const TensorList::Row row = rows.data[low];
  const int64_t begin = (index - row.first_piece) * TensorList::piece_size, left = row.size - begin;
  return {row.data + begin, left < TensorList::piece_size ? left : TensorList::piece_size};
}

// How much of a piece can be read 16 bytes at a time: all but its last few elements, or nothing where it begins elsewhere.
__device__ int64_t vector_part(const Piece& piece) {
  return reinterpret_cast<uintptr_t>(piece.data) % 16 == 0 ? piece.size / 4 * 4 : 0;
}

__device__ double squared(float x) {
  return static_cast<double>(x) * static_cast<double>(x);
}

// 2^31 - 1 blocks are 2.8e14 bytes of gradients.
__global__ void __launch_bounds__(threads)
    sums_of_squares(View<const TensorList::Row, 1> rows, View<double, 1> partial) {
  const Piece piece = find_piece(rows, blockIdx.x);
  const int64_t whole = vector_part(piece);
  double sums[4] = {};  // independent of each other, so that they need not wait for each other
  for (int64_t i = 4 * threadIdx.x; i < whole; i += 4 * threads) {
    const Vector<float> g = load16(piece.data + i);
#pragma unroll
    for (int k = 0; k < 4; ++k) sums[k] += squared(g[k]);
  }
  for (int64_t i = whole + threadIdx.x; i < piece.size; i += threads) sums[0] += squared(piece.data[i]);
  const double sum = block_sum<threads>((sums[0] + sums[1]) + (sums[2] + sums[3]));
  if (threadIdx.x == 0) partial.data[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(final_threads)
    norm_and_scale(View<const double, 1> partial, double max_norm, View<float, 1> norm,
                   View<float, 1> scale) {
  double sum = 0;
  for (int64_t p = threadIdx.x; p < partial.extent[0]; p += final_threads) sum += partial.data[p];
  const double total = sqrt(block_sum<final_threads>(sum));
  if (threadIdx.x != 0) return;
  norm.data[0] = static_cast<float>(total);
  scale.data[0] = !std::isfinite(total) ? NAN : total > max_norm ? static_cast<float>(max_norm / total) : 1;
}

__global__ void __launch_bounds__(threads)
    scale_pieces(View<const TensorList::Row, 1> rows, View<const float, 1> scale) {
  const float factor = scale.data[0];
  if (!(factor < 1)) return;  // nothing to clip, or nothing to be mended
  const Piece piece = find_piece(rows, blockIdx.x);
  const int64_t whole = vector_part(piece);
  for (int64_t i = 4 * threadIdx.x; i < whole; i += 4 * threads) {
    Vector<float> g = load16(piece.data + i);
#pragma unroll
    for (int k = 0; k < 4; ++k) g[k] *= factor;
    store16(piece.data + i, g);
  }
  for (int64_t i = whole + threadIdx.x; i < piece.size; i += threads) piece.data[i] *= factor;
}

}  // namespace

TensorList::TensorList(const std::vector<View<float, 1>>& tensors, Stream& stream)
    : rows_("tensor list", tensors.size()) {
  std::vector<Row> rows;
  for (const View<float, 1>& tensor : tensors) {
    rows.push_back({tensor.data, tensor.extent[0], pieces_});
    pieces_ += ceil_div(tensor.extent[0], piece_size);
  }
  rows_.upload(View<const Row, 1>(rows.data(), {rows_.extent[0]}), stream);
}

void global_norm(const TensorList& gradients, double max_norm, View<double, 1> partial, View<float, 1> norm,
                 View<float, 1> scale, Stream& stream) {
  check_shape("global_norm", "partial", partial, {gradients.pieces()});
  check_shape("global_norm", "norm", norm, {1});
  check_shape("global_norm", "scale", scale, {1});
  if (!(max_norm > 0)) throw ValueError("global_norm", "max_norm > 0", std::to_string(max_norm));
  if (gradients.pieces() > 0)
    launch(stream, {static_cast<unsigned>(gradients.pieces()), threads}, sums_of_squares, gradients.rows(),
           partial);
  launch(stream, {1, final_threads}, norm_and_scale, partial, max_norm, norm, scale);
}

void grad_clip(const TensorList& gradients, double max_norm, View<double, 1> partial, View<float, 1> norm,
               View<float, 1> scale, Stream& stream) {
  global_norm(gradients, max_norm, partial, norm, scale, stream);
  if (gradients.pieces() > 0)
    launch(stream, {static_cast<unsigned>(gradients.pieces()), threads}, scale_pieces, gradients.rows(),
           scale);
}

}  // namespace dsllm::cuda
