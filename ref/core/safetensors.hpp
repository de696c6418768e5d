// safetensors: named tensors in one file. Eight bytes hold the length n of a header, n bytes of JSON name every
// tensor with its type, shape and byte offsets, and the rest of the file is the tensors' data, row-major and
// little-endian, without a gap. A large model is cut into shards with an index beside them (Hugging Face's form).
//
// Nothing in a file is believed: every rule of the format is checked before the first tensor can be asked for.
#pragma once

#include <cstring>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ref/core/dtype.hpp"
#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "ref/core/tensor.hpp"

namespace dsllm {

// One tensor of a file. bytes points into the file and has exactly the size that dtype and shape ask for.
struct TensorInfo {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;

  int64_t elements() const { return static_cast<int64_t>(bytes.size()) / describe(dtype).size; }
};

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;              // in the order of their data
  std::map<std::string, std::string> metadata;  // "__metadata__", free text
};

// Parses and checks a whole file that lies in memory; path is for messages. Throws FileError, naming the tensor and
// the rule, for:
//   a header longer than 100 MB or than the file, not beginning with '{', or not JSON; a key that stands twice;
//   an unknown dtype or field; a shape with a negative extent, one whose bytes overflow, or that disagrees with the
//   offsets; offsets that overlap, leave a gap or pass the end; bytes after the last tensor.
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& path);

// Tensors by name, from one mapped file or several. (As with every map: a file that somebody shortens while it is open
// ends the program with SIGBUS. AtomicFile never does that, it puts a new file in the old one's place.)
class SafetensorsReader {
 public:
  // In the order of the files and of the data inside them. Valid as long as the reader.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // Of several files, all that they say; where two differ, the first one's word.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& path() const { return path_; }

  bool contains(const std::string& name) const { return index_.contains(name); }
  // Throws FileError if there is no such tensor, as all functions below do.
  const TensorInfo& info(const std::string& name) const;

  // The tensor where it lies, nothing copied. Throws FileError unless the file holds exactly the type T and N
  // extents, and the data is aligned for T (files may put it anywhere; copy() takes those too).
  template <class T, int N>
  View<const T, N> view(const std::string& name) const {
    const TensorInfo& t = info(name);
    const View<const T, N> v(reinterpret_cast<const T*>(t.bytes.data()), extents<N>(t, dtype_of<T>));
    check_alignment(t, alignof(T));
    if constexpr (std::is_same_v<T, bool>) check_booleans(t);
    return v;
  }

  // The same in memory of its own, wherever the file puts the data.
  template <class T, int N>
  Tensor<T, N> copy(const std::string& name) const {
    const TensorInfo& t = info(name);
    Tensor<T, N> x = Tensor<T, N>::like(View<const T, N>(nullptr, extents<N>(t, dtype_of<T>)));
    if constexpr (std::is_same_v<T, bool>) check_booleans(t);
    if (!t.bytes.empty()) std::memcpy(x.data, t.bytes.data(), t.bytes.size());
    return x;
  }

  // Converts F64, F32, BF16 or F16 to float or double: exactly, or (F64 to float) rounded to nearest. The shape has
  // to be that of `out`; a span takes any shape of as many elements.
  template <class T, int N>
  void read_as(const std::string& name, View<T, N> out) const {
    check_extents(info(name), out.extent, N);
    read_as(name, std::span<T>(out.data, static_cast<size_t>(out.size())));
  }
  void read_as(const std::string& name, std::span<float> out) const;
  void read_as(const std::string& name, std::span<double> out) const;

 protected:
  SafetensorsReader() = default;
  // Maps and checks a file; returns the place of its first tensor in tensors().
  size_t add_file(const std::string& path);

  std::string path_;

 private:
  template <int N>
  std::array<int64_t, N> extents(const TensorInfo& t, DType dtype) const {
    std::array<int64_t, N> extent;
    check_type(t, dtype, N);
    extent.fill(1);  // a scalar is a view of one element
    std::copy(t.shape.begin(), t.shape.end(), extent.begin());
    return extent;
  }
  void check_type(const TensorInfo& t, DType dtype, int n) const;
  void check_extents(const TensorInfo& t, const int64_t* extent, int n) const;
  void check_alignment(const TensorInfo& t, size_t alignment) const;
  void check_booleans(const TensorInfo& t) const;

  std::vector<MappedFile> files_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string, size_t> index_;
  std::map<std::string, std::string> metadata_;
};

// One file. Throws FileError.
class SafetensorsFile : public SafetensorsReader {
 public:
  explicit SafetensorsFile(const std::string& path);
};

// A folder with either model.safetensors, or shards and model.safetensors.index.json. Throws FileError if it has
// neither or both, if the index names a file outside the folder, or if index and shards do not name the same tensors.
class SafetensorsModel : public SafetensorsReader {
 public:
  explicit SafetensorsModel(const std::string& folder);
};

}  // namespace dsllm
