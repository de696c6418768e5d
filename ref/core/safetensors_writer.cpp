#include "ref/core/safetensors_writer.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"

namespace dsllm {
namespace {

constexpr const char* operation = "write safetensors";

int64_t bytes_of(const TensorSpec& t) {
  return byte_count(t.dtype, t.shape).value();  // checked in the constructor
}

// The length of the header and the header, padded with spaces so that the data begins at a multiple of 64 bytes.
std::string make_header(const std::vector<TensorSpec>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::string text = header.dump();
  text.pop_back();  // the tensors follow as text: a Json would look for each name among all before it
  int64_t offset = 0;
  for (const TensorSpec& t : tensors) {
    const int64_t end = offset + bytes_of(t);
    Json fields;
    fields["dtype"] = describe(t.dtype).name;
    fields["shape"] = t.shape;
    fields["data_offsets"] = {offset, end};
    text += fmt::format("{}{}:{}", text.size() > 1 ? "," : "", Json(t.name).dump(), fields.dump());
    offset = end;
  }
  text += '}';
  text.resize((8 + text.size() + 63) / 64 * 64 - 8, ' ');
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(static_cast<uint64_t>(text.size()) >> (8 * i));
  return bytes + text;
}

}  // namespace

SafetensorsStream::SafetensorsStream(std::vector<TensorSpec> tensors) : tensors_(std::move(tensors)) {
  std::set<std::string> names;
  int64_t total = 0, element = 8;
  for (const TensorSpec& t : tensors_) {
    if (t.name == "__metadata__" || !names.insert(t.name).second)
      throw ValueError(operation, "names that differ, and none of them __metadata__",
                       fmt::format("'{}'", t.name));
    const std::optional<int64_t> bytes = byte_count(t.dtype, t.shape);
    if (!bytes || __builtin_add_overflow(total, *bytes, &total))
      throw ValueError(operation, "tensors whose bytes fit in 63 bits", fmt::format("tensor '{}'", t.name));
    const int64_t size = describe(t.dtype).size;
    if (size > element)
      throw ValueError(operation, "tensors in falling order of the size of their elements",
                       fmt::format("tensor '{}' of {} bytes each after one of {}", t.name, size, element));
    element = size;
  }
  skip_empty();
}

void SafetensorsStream::skip_empty() {
  while (next_ < tensors_.size() && bytes_of(tensors_[next_]) == 0) ++next_;
}

void SafetensorsStream::write_bytes(const std::string& name, DType dtype, const void* bytes, int64_t count) {
  if (count == 0) return;
  if (next_ == tensors_.size()) throw ValueError(operation, "no more data", fmt::format("tensor '{}'", name));
  const TensorSpec& t = tensors_[next_];
  if (name != t.name || dtype != t.dtype)
    throw ValueError(operation, fmt::format("tensor '{}' of {}", t.name, describe(t.dtype).name),
                     fmt::format("'{}' of {}", name, describe(dtype).name));
  if (count > bytes_of(t) - written_)
    throw ValueError(operation, fmt::format("{} more bytes of tensor '{}'", bytes_of(t) - written_, name),
                     fmt::format("{}", count));
  append(next_, bytes, static_cast<size_t>(count));
  written_ += count;
  if (written_ == bytes_of(t)) {
    ++next_;
    written_ = 0;
    skip_empty();
  }
}

void SafetensorsStream::commit() {
  if (next_ != tensors_.size())
    throw ValueError(operation,
                     fmt::format("{} bytes of tensor '{}'", bytes_of(tensors_[next_]), tensors_[next_].name),
                     fmt::format("{}", written_));
  finish();
}

SafetensorsWriter::SafetensorsWriter(const std::string& path, std::vector<TensorSpec> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : SafetensorsStream(std::move(tensors)), file_(path) {
  file_.write(make_header(tensors_, metadata));
}

SafetensorsModelWriter::SafetensorsModelWriter(const std::string& folder, std::vector<TensorSpec> tensors,
                                               int64_t max_shard_bytes,
                                               const std::map<std::string, std::string>& metadata)
    : SafetensorsStream(std::move(tensors)), folder_(folder), metadata_(metadata), first_{0} {
  int64_t filled = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const int64_t bytes = bytes_of(tensors_[i]);
    if (i > first_.back() && bytes > max_shard_bytes - filled) {
      first_.push_back(i);
      filled = 0;
    }
    filled += bytes;
  }
  first_.push_back(tensors_.size());
}

std::string SafetensorsModelWriter::shard_name(size_t shard) const {
  const size_t shards = first_.size() - 1;
  return shards == 1 ? "model.safetensors"
                     : fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, shards);
}

void SafetensorsModelWriter::open_next_shard() {
  if (shard_) shard_->commit();
  const auto begin = tensors_.begin() + static_cast<std::ptrdiff_t>(first_[open_]);
  const auto end = tensors_.begin() + static_cast<std::ptrdiff_t>(first_[open_ + 1]);
  shard_ = std::make_unique<SafetensorsWriter>(folder_ + "/" + shard_name(open_),
                                               std::vector<TensorSpec>(begin, end), metadata_);
  ++open_;
}

void SafetensorsModelWriter::append(size_t tensor, const void* bytes, size_t count) {
  while (open_ == 0 || tensor >= first_[open_]) open_next_shard();
  shard_->write_bytes(tensors_[tensor].name, tensors_[tensor].dtype, bytes, static_cast<int64_t>(count));
}

void SafetensorsModelWriter::finish() {
  while (open_ + 1 < first_.size())
    open_next_shard();  // the rest holds empty tensors, or there is none at all
  shard_->commit();
  const std::string single = folder_ + "/model.safetensors",
                    index = folder_ + "/model.safetensors.index.json";
  if (first_.size() == 2) {
    std::filesystem::remove(index);
    return;
  }
  SortedJson weight_map = SortedJson::object();
  int64_t total = 0;
  for (size_t shard = 0; shard + 1 < first_.size(); ++shard)
    for (size_t i = first_[shard]; i < first_[shard + 1]; ++i) {
      weight_map[tensors_[i].name] = shard_name(shard);
      total += bytes_of(tensors_[i]);
    }
  const SortedJson content{{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}};
  write_file_atomically(index, content.dump(2) + "\n");
  std::filesystem::remove(single);
}

}  // namespace dsllm
