// Writing safetensors: all tensors are declared first, since the header stands before the data, and then written in
// that order, in pieces of any size. Nothing is visible under the file's name until commit().
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ref/core/dtype.hpp"
#include "ref/core/file.hpp"
#include "ref/core/view.hpp"

namespace dsllm {

// A tensor to be written.
struct TensorSpec {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
};

// Common to both writers: the order of the data, and what has been written of it.
class SafetensorsStream {
 public:
  virtual ~SafetensorsStream() = default;
  SafetensorsStream(const SafetensorsStream&) = delete;
  SafetensorsStream& operator=(const SafetensorsStream&) = delete;

  // The next elements of tensor `name`, which is the first one that is not complete. Throws ValueError for another
  // tensor, another type or too many elements, FileError if the disk is full.
  template <class T, int N>
  void write(const std::string& name, const View<T, N>& values) {
    write_bytes(name, dtype_of<std::remove_const_t<T>>, values.data,
                values.size() * static_cast<int64_t>(sizeof(T)));
  }
  void write_bytes(const std::string& name, DType dtype, const void* bytes, int64_t count);

  // Flushes to the disk and puts the file in its place. Throws ValueError if a tensor is not complete.
  void commit();

 protected:
  explicit SafetensorsStream(std::vector<TensorSpec> tensors);
  virtual void append(size_t tensor, const void* bytes, size_t count) = 0;
  virtual void finish() = 0;

  std::vector<TensorSpec> tensors_;

 private:
  void skip_empty();

  size_t next_ = 0;      // the tensor that is being written
  int64_t written_ = 0;  // bytes of it
};

// One file. Throws ValueError for a name that stands twice or is "__metadata__", for a shape whose bytes overflow,
// and for an element larger than those of the tensor before it: in falling order of size every tensor is aligned,
// so that readers can use it in place.
class SafetensorsWriter : public SafetensorsStream {
 public:
  SafetensorsWriter(const std::string& path, std::vector<TensorSpec> tensors,
                    const std::map<std::string, std::string>& metadata = {});

 private:
  void append(size_t, const void* bytes, size_t count) override { file_.write(bytes, count); }
  void finish() override { file_.commit(); }

  AtomicFile file_;
};

// A folder as SafetensorsModel reads it: model.safetensors if all tensors fit into max_shard_bytes of data, else
// model-00001-of-0000n.safetensors, ... and the index, which is written last. A larger tensor has a shard of its
// own. commit() removes the form (single file or index) that the folder may have had before.
class SafetensorsModelWriter : public SafetensorsStream {
 public:
  SafetensorsModelWriter(const std::string& folder, std::vector<TensorSpec> tensors, int64_t max_shard_bytes,
                         const std::map<std::string, std::string>& metadata = {});

 private:
  void append(size_t tensor, const void* bytes, size_t count) override;
  void finish() override;
  void open_next_shard();
  std::string shard_name(size_t shard) const;

  std::string folder_;
  std::map<std::string, std::string> metadata_;
  std::vector<size_t> first_;  // of each shard, the first tensor; at the end, the number of tensors
  size_t open_ = 0;            // shards opened so far
  std::unique_ptr<SafetensorsWriter> shard_;
};

}  // namespace dsllm
