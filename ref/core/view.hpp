// View<T, N>: somebody else's N-dimensional row-major array, as a pointer and its extents.
//
// A plain struct, shared by the reference and the kernels: no Eigen, no ownership, no strides. Element (i, j, k)
// of a View<T, 3> lies at data[(i * extent[1] + j) * extent[2] + k].
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__CUDACC__)
#define DSLLM_HD __host__ __device__
#else
#define DSLLM_HD
#endif

namespace dsllm {

template <class T, int N>
struct View {
  static_assert(N >= 1);
  T* data = nullptr;
  int64_t extent[N] = {};

  View() = default;
  View(const View&) = default;
  View& operator=(const View&) = default;
  DSLLM_HD View(T* elements, const int64_t (&extents)[N]) : data(elements) {
    for (int d = 0; d < N; ++d) extent[d] = extents[d];
  }
  View(T* elements, const std::array<int64_t, N>& extents) : data(elements) {
    for (int d = 0; d < N; ++d) extent[d] = extents[d];
  }
  // View<float, N> -> View<const float, N>, never back.
  template <class U>
  requires std::is_same_v<const U, T> DSLLM_HD View(const View<U, N>& other) : data(other.data) {
    for (int d = 0; d < N; ++d) extent[d] = other.extent[d];
  }

  DSLLM_HD int64_t size() const {
    int64_t n = 1;
    for (int d = 0; d < N; ++d) n *= extent[d];
    return n;
  }

  template <class... Index>
  requires(sizeof...(Index) == N) DSLLM_HD T& operator()(Index... index) const {
    const int64_t at[N] = {static_cast<int64_t>(index)...};
    int64_t offset = 0;
    for (int d = 0; d < N; ++d) {
      assert(at[d] >= 0 && at[d] < extent[d]);
      offset = offset * extent[d] + at[d];
    }
    return data[offset];
  }

  // The i-th slice along the first dimension: x.row(i) of a View<T, 2> is a View<T, 1>.
  DSLLM_HD auto row(int64_t i) const requires(N >= 2) {
    assert(i >= 0 && i < extent[0]);
    View<T, N - 1> slice;
    for (int d = 1; d < N; ++d) slice.extent[d - 1] = extent[d];
    slice.data = data + i * slice.size();
    return slice;
  }

  // Slices begin .. begin + count - 1 along the first dimension.
  DSLLM_HD View rows(int64_t begin, int64_t count) const {
    assert(begin >= 0 && count >= 0 && begin + count <= extent[0]);
    View part = *this;
    part.extent[0] = count;
    int64_t stride = 1;
    for (int d = 1; d < N; ++d) stride *= extent[d];
    part.data = data + begin * stride;
    return part;
  }

  DSLLM_HD View<T, 1> flat() const { return View<T, 1>(data, {size()}); }

  // The same elements under other extents: x [batch, seq, d] as [batch * seq, d].
  template <class... Extent>
  DSLLM_HD View<T, static_cast<int>(sizeof...(Extent))> reshape(Extent... extents) const {
    View<T, static_cast<int>(sizeof...(Extent))> other(data, {static_cast<int64_t>(extents)...});
    assert(other.size() == size());
    return other;
  }
};

// How components name their arguments. Out<T, N> decides the scalar T of a call; In<T, N> is read-only and follows
// it, so that a Tensor<float, 2> or a View<float, 2> can be passed for either without a cast.
template <class T, int N>
using In = View<const std::type_identity_t<T>, N>;
template <class T, int N>
using Out = View<T, N>;

}  // namespace dsllm
