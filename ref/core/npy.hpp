// NumPy's .npy: one array in one file. A magic word, a version, a header that is written as a Python dict, and the
// elements. Row-major and little-endian only, as everything here.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "ref/core/dtype.hpp"
#include "ref/core/file.hpp"
#include "ref/core/tensor.hpp"

namespace dsllm {

struct NpyArray {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;  // exactly as many as dtype and shape ask for
};

// Parses and checks a file that lies in memory (versions 1.0, 2.0 and 3.0); path is for messages. Throws FileError
// for anything but a dict with exactly the keys descr, fortran_order and shape, for column-major or big-endian
// arrays, types that this project does not have, a shape that overflows, missing and trailing bytes.
NpyArray parse_npy(std::span<const std::byte> file, const std::string& path);

// Throws FileError, also if the file does not hold exactly the type T (f16 reads '<f2') and N extents. A scalar is
// read as one element.
template <class T, int N>
Tensor<T, N> read_npy(const std::string& path);

// Version 1.0, through a temporary as all files. bf16 has no name in NumPy and is written as float, which is exact.
template <class T, int N>
void write_npy(const std::string& path, const View<T, N>& x);

namespace detail {
void check_npy(const NpyArray& array, DType dtype, int n, const std::string& path);
std::string npy_header(DType dtype, std::span<const int64_t> shape);
}  // namespace detail

template <class T, int N>
Tensor<T, N> read_npy(const std::string& path) {
  const MappedFile file(path);
  const NpyArray array = parse_npy(file.bytes(), path);
  detail::check_npy(array, dtype_of<T>, N, path);
  std::array<int64_t, N> extent;
  extent.fill(1);
  std::copy(array.shape.begin(), array.shape.end(), extent.begin());
  Tensor<T, N> x = Tensor<T, N>::like(View<const T, N>(nullptr, extent));
  if (!array.bytes.empty()) std::memcpy(x.data, array.bytes.data(), array.bytes.size());
  return x;
}

template <class T, int N>
void write_npy(const std::string& path, const View<T, N>& x) {
  using Element = std::remove_const_t<T>;
  AtomicFile file(path);
  if constexpr (std::is_same_v<Element, bf16>) {
    file.write(detail::npy_header(DType::f32, x.extent));
    float piece[1024];
    for (int64_t i = 0, n; i < x.size(); i += n) {
      n = std::min<int64_t>(1024, x.size() - i);
      std::copy(x.data + i, x.data + i + n, piece);
      file.write(piece, static_cast<size_t>(n) * sizeof(float));
    }
  } else {
    file.write(detail::npy_header(dtype_of<Element>, x.extent));
    file.write(x.data, static_cast<size_t>(x.size()) * sizeof(T));
  }
  file.commit();
}

}  // namespace dsllm
