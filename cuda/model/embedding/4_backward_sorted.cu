// Embedding, step 4: the gradient of the table from sorted positions, the same bits every time.
//
//     dweight_id(t) += dy_t, for each id in the order of t                                     (paper, section 2.2)
//
// ids, positions [n], dy [n, d], dweight [vocab, d], float, partial [pieces, 2, d]. Where positions are sorted by id, those of
// one id are a run, and one thread can add up a column of it. A run may be a single token or, with a frequent token, every
// twentieth of the batch; a block for each run would wait for the longest. So a block takes a piece of 32 positions, whatever
// the runs in it:
//
//     piece            |  0          |  1          |  2          |
//     id               |  2 2 2 5 5  |  5 5 5 5 5  |  5 9 9 9 9  |
//     to dweight       |  2          |             |    9        |    runs that lie in one piece
//     to partial[.][1] |        5    |             |             |    a run that begins here and goes on
//     to partial[.][0] |             |  5          |  5          |    one that began before
//
// A second kernel adds up the parts of each run that goes on, in order: partial[0][1] + partial[1][0] + partial[2][0].
//
// FLOPs: n d. Bytes: dy in; each row of dweight whose id occurs in and out; for n = 8192 tokens with 3000 ids among them, d = 4096,
// bf16: 67 MB + 98 MB, 49 us on an H100 (3.35 TB/s; computed, not measured), and at most 2 x 4 n d / 32 bytes for the parts, 8 MB.
#include "cuda/core/kernel.hpp"
#include "cuda/core/vector.hpp"
#include "cuda/model/embedding.hpp"

namespace dsllm::cuda {
namespace {

constexpr int piece = static_cast<int>(embedding_piece);
// Rows that a thread reads before it adds the first: 64 bytes of vectors.
template <class T>
constexpr int rows_at_once = 16 / static_cast<int>(sizeof(T));

// Width = 4 neighbouring numbers of a row at a multiple of their size, or a single one. Four, since their sums are 16 bytes of
// dweight: with eight bf16 numbers a thread, its two stores would leave gaps between those of its neighbours.
template <class T, int Width>
struct Numbers {
  T element[Width];
};
template <class T, int Width>
__device__ Numbers<T, Width> read(const T* p) {
  Numbers<T, Width> x;
  if constexpr (Width == 1) {
    x.element[0] = *p;
  } else if constexpr (sizeof(T) == 4) {
    const Vector<T> v = load16(p);
#pragma unroll
    for (int i = 0; i < Width; ++i) x.element[i] = v[i];
  } else {
    const Vector<T, 8> v = load8(p);
#pragma unroll
    for (int i = 0; i < Width; ++i) x.element[i] = v[i];
  }
  return x;
}
// to = (accumulate ? to : 0) + sum
template <bool Accumulate, int Width>
__device__ void write(float* to, const float (&sum)[Width]) {
  if constexpr (Width == 1) {
    *to = Accumulate ? *to + sum[0] : sum[0];
  } else {
    Vector<float> v = {};
    if constexpr (Accumulate) v = load16(to);
#pragma unroll
    for (int i = 0; i < Width; ++i) v[i] += sum[i];
    store16(to, v);
  }
}

// The id at a place of the sorted order; negative outside of it, and for ids outside of the vocabulary.
__device__ int32_t id_at(View<const int32_t, 1> ids, View<const int32_t, 1> positions, int64_t vocab,
                         int64_t place) {
  if (place < 0 || place >= positions.extent[0]) return -1;
  const int32_t id = ids.data[positions.data[place]];
  return id < vocab ? id : -1;
}

// Block (x, y): piece x, columns from y blockDim.x Width on.
template <class T, int Width>
__global__ void add_pieces(View<const int32_t, 1> ids, View<const int32_t, 1> positions, View<const T, 2> dy,
                           View<float, 2> dweight, View<float, 3> partial) {
  // id[r + 1] belongs to row r of the piece; the ends are those of the neighbouring pieces.
  __shared__ int32_t id[piece + 2], position[piece];
  const int64_t vocab = dweight.extent[0], d = dweight.extent[1], n = ids.extent[0];
  const int64_t first = static_cast<int64_t>(blockIdx.x) * piece;
  for (int k = static_cast<int>(threadIdx.x); k < piece + 2; k += static_cast<int>(blockDim.x))
    id[k] = id_at(ids, positions, vocab, first + k - 1);
  const int row = static_cast<int>(threadIdx.x);
  if (row < piece) position[row] = first + row < n ? positions.data[first + row] : 0;
  __syncthreads();
  // Ids outside of the vocabulary are last. The block has at least 32 threads.
  const int count = __syncthreads_count(row < piece && id[row + 1] >= 0);
  const bool first_run_began_before = id[0] == id[1];

  const int64_t columns = static_cast<int64_t>(blockDim.x) * Width;
  for (int64_t j = blockIdx.y * columns + threadIdx.x * Width; j < d; j += gridDim.y * columns) {
    float sum[Width] = {};
    int begin = 0;  // of the run
    for (int r0 = 0; r0 < count; r0 += rows_at_once<T>) {
      Numbers<T, Width> x[rows_at_once<T>];
#pragma unroll
      for (int k = 0; k < rows_at_once<T>; ++k)
        if (r0 + k < count) x[k] = read<T, Width>(dy.data + position[r0 + k] * d + j);
#pragma unroll
      for (int k = 0; k < rows_at_once<T>; ++k) {
        const int r = r0 + k;
        if (r >= count) break;
#pragma unroll
        for (int i = 0; i < Width; ++i) sum[i] += float(x[k].element[i]);
        const bool same_next = id[r + 2] == id[r + 1];
        if (same_next && r + 1 < piece) continue;
        if (begin == 0 && first_run_began_before)
          write<false>(partial.data + (blockIdx.x * 2 + 0) * d + j, sum);
        else if (same_next)
          write<false>(partial.data + (blockIdx.x * 2 + 1) * d + j, sum);
        else
          write<true>(dweight.data + id[r + 1] * d + j, sum);
        begin = r + 1;
#pragma unroll
        for (int i = 0; i < Width; ++i) sum[i] = 0;
      }
    }
  }
}

// Block (x, y) as above. It works if a run begins in its piece and goes on in the next one.
template <int Width>
__global__ void add_parts_of_runs(View<const int32_t, 1> ids, View<const int32_t, 1> positions,
                                  View<float, 2> dweight, View<const float, 3> partial) {
  const int64_t vocab = dweight.extent[0], d = dweight.extent[1];
  const int64_t pieces = partial.extent[0], first = static_cast<int64_t>(blockIdx.x) * piece;
  const int32_t id = id_at(ids, positions, vocab, first + piece - 1);
  const bool began_before =
      id == id_at(ids, positions, vocab, first) && id == id_at(ids, positions, vocab, first - 1);
  if (id < 0 || began_before || id != id_at(ids, positions, vocab, first + piece)) return;

  // The run reaches all pieces that begin with its id. Lanes look at 32 pieces at a time.
  int64_t end = blockIdx.x + 1;
  unsigned reached;
  do {
    const int64_t p = end + threadIdx.x % 32;
    const bool same = p < pieces && id_at(ids, positions, vocab, p * piece) == id;
    reached = __ballot_sync(0xffffffffu, same);
    end += __popc(reached);
  } while (reached == 0xffffffffu);

  const int64_t columns = static_cast<int64_t>(blockDim.x) * Width;
  for (int64_t j = blockIdx.y * columns + threadIdx.x * Width; j < d; j += gridDim.y * columns) {
    float sum[Width] = {};
#pragma unroll 4
    for (int64_t p = blockIdx.x; p < end; ++p) {
      const int which = p == blockIdx.x ? 1 : 0;
      const Numbers<float, Width> x = read<float, Width>(partial.data + (p * 2 + which) * d + j);
#pragma unroll
      for (int i = 0; i < Width; ++i) sum[i] += x.element[i];
    }
    write<true>(dweight.data + id * d + j, sum);
  }
}

// 32, 64, 96 or 128 threads for a row of `items` fours or numbers.
LaunchShape shape_for(int64_t pieces, int64_t items) {
  const int64_t warps = ceil_div<int64_t>(items, 32), threads = 32 * (warps < 4 ? warps : 4),
                blocks = ceil_div<int64_t>(items, threads);
  return {dim3(grid_of(pieces), static_cast<unsigned>(blocks < 65535 ? blocks : 65535)),
          static_cast<unsigned>(threads)};
}

}  // namespace

template <class T>
void embedding_backward_sorted(View<const int32_t, 1> ids, View<const int32_t, 1> positions,
                               View<const T, 2> dy, View<float, 2> dweight, View<float, 3> partial,
                               Stream& stream) {
  constexpr const char* name = "embedding_backward_sorted";
  const int64_t n = ids.extent[0], d = dweight.extent[1], pieces = embedding_pieces(n);
  check_shape(name, "positions", positions, {n});
  check_shape(name, "dy", dy, {n, d});
  check_shape(name, "partial", partial, {pieces, 2, d});
  if (n == 0 || d == 0) return;
  const bool four = reinterpret_cast<uintptr_t>(dy.data) % (4 * sizeof(T)) == 0 && fits16(dweight.data, d) &&
                    fits16(partial.data, d);
  const LaunchShape shape = shape_for(pieces, four ? d / 4 : d);
  launch(stream, shape, four ? add_pieces<T, 4> : add_pieces<T, 1>, ids, positions, dy, dweight, partial);
  launch(stream, shape, four ? add_parts_of_runs<4> : add_parts_of_runs<1>, ids, positions, dweight, partial);
}

template <class T>
void embedding_backward(View<const int32_t, 1> ids, View<const T, 2> dy, View<float, 2> dweight,
                        View<int32_t, 1> positions, View<int32_t, 1> scratch, View<float, 3> partial,
                        Stream& stream) {
  embedding_sort(ids, dweight.extent[0], positions, scratch, stream);
  embedding_backward_sorted<T>(ids, positions, dy, dweight, partial, stream);
}

template void embedding_backward_sorted<float>(View<const int32_t, 1>, View<const int32_t, 1>,
                                               View<const float, 2>, View<float, 2>, View<float, 3>, Stream&);
template void embedding_backward_sorted<bf16>(View<const int32_t, 1>, View<const int32_t, 1>,
                                              View<const bf16, 2>, View<float, 2>, View<float, 3>, Stream&);
template void embedding_backward<float>(View<const int32_t, 1>, View<const float, 2>, View<float, 2>,
                                        View<int32_t, 1>, View<int32_t, 1>, View<float, 3>, Stream&);
template void embedding_backward<bf16>(View<const int32_t, 1>, View<const bf16, 2>, View<float, 2>,
                                       View<int32_t, 1>, View<int32_t, 1>, View<float, 3>, Stream&);

}  // namespace dsllm::cuda
