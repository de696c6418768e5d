#include "ref/data/dataset.hpp"

#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <numbers>

#include "ref/core/checksum.hpp"
#include "ref/core/error.hpp"
#include "ref/core/fields_json.hpp"
#include "ref/core/npy.hpp"

namespace dsllm {
namespace {

// Every field has to be there: a manifest with defaults in it would be a guess.
template <class T>
void read_all_fields(const Json& json, T& value, const std::string& path) {
  read_fields(json, value, path);
  visit_fields(value, [&](const Field& field, const auto&) {
    if (!json.contains(field.name))
      throw FileError(path, fmt::format("field '{}'", field.name), field.meaning, "nothing");
  });
  check_ranges(value);
}

DataPart part_from_json(const Json& json, const char* name, const std::string& path) {
  DataPart part;
  read_all_fields(json, part, fmt::format("{}: {}", path, name));
  // A name, not a way out of the folder.
  if (part.file.empty() || part.file.find('/') != std::string::npos || part.file.front() == '.')
    throw FileError(path, fmt::format("{}: field 'file'", name), "the name of a file beside it", part.file);
  return part;
}

}  // namespace

Json manifest_to_json(const DataManifest& manifest) {
  Json json = fields_to_json(manifest);
  json["train"] = fields_to_json(manifest.train);
  json["heldout"] = fields_to_json(manifest.heldout);
  return json;
}

DataManifest manifest_from_json(const Json& json, const std::string& path) {
  if (!json.is_object() || !json.contains("train") || !json.contains("heldout"))
    throw FileError(path, "", "an object with 'train' and 'heldout'", json.dump().substr(0, 60));
  DataManifest manifest;
  manifest.train = part_from_json(json["train"], "train", path);
  manifest.heldout = part_from_json(json["heldout"], "heldout", path);
  Json fields = json;
  fields.erase("train");
  fields.erase("heldout");
  read_all_fields(fields, manifest, path);
  for (const int64_t id : {manifest.bos, manifest.eos})
    if (id >= manifest.vocab_size)
      throw FileError(path, "bos, eos", fmt::format("ids below vocab_size = {}", manifest.vocab_size),
                      fmt::to_string(id));
  return manifest;
}

TokenFile::TokenFile(const std::string& folder, const DataPart& part, int64_t vocab_size)
    : file_((std::filesystem::path(folder) / part.file).string()), vocab_size_(vocab_size) {
  const NpyArray array = parse_npy(file_.bytes(), file_.path());
  if (array.shape.size() != 1 || (array.dtype != DType::u16 && array.dtype != DType::i32))
    throw FileError(file_.path(), "", "one dimension of uint16 or int32",
                    fmt::format("{} dimensions of {}", array.shape.size(), describe(array.dtype).name));
  if (array.shape[0] != part.tokens)
    throw FileError(file_.path(), "", fmt::format("the {} tokens of the manifest", part.tokens),
                    fmt::format("{} tokens", array.shape[0]));
  dtype_ = array.dtype;
  bytes_ = array.bytes;
  size_ = array.shape[0];
}

void TokenFile::read(int64_t begin, std::span<int32_t> out) const {
  const int64_t count = static_cast<int64_t>(out.size());
  if (begin < 0 || begin > size_ || count > size_ - begin)
    throw ValueError("TokenFile::read", fmt::format("a range of the {} tokens of {}", size_, path()),
                     fmt::format("{} from {}", count, begin));
  // Copied bytewise: a header of any length may stand before the ids.
  const std::byte* bytes = bytes_.data() + begin * describe(dtype_).size;
  for (int64_t i = 0; i < count; ++i) {
    int32_t id = 0;
    if (dtype_ == DType::u16) {
      uint16_t narrow = 0;
      std::memcpy(&narrow, bytes + 2 * i, 2);
      id = narrow;
    } else {
      std::memcpy(&id, bytes + 4 * i, 4);
    }
    if (id < 0 || id >= vocab_size_)
      throw FileError(path(), fmt::format("token {}", begin + i),
                      fmt::format("ids below the vocabulary of {}", vocab_size_), fmt::to_string(id));
    out[static_cast<size_t>(i)] = id;
  }
}

namespace {

void check_checksum(const std::string& path, const std::string& expected) {
  if (const std::string found = file_checksum(path); found != expected)
    throw FileError(path, "", fmt::format("checksum {}, as in data.json", expected), found);
}

}  // namespace

Dataset Dataset::open(const std::string& folder) {
  const std::string path = (std::filesystem::path(folder) / "data.json").string();
  Dataset data;
  data.folder = folder;
  data.manifest = manifest_from_json(read_json(path), path);
  data.train = TokenFile(folder, data.manifest.train, data.manifest.vocab_size);
  data.heldout = TokenFile(folder, data.manifest.heldout, data.manifest.vocab_size);
  check_checksum(data.train.path(), data.manifest.train.checksum);
  check_checksum(data.heldout.path(), data.manifest.heldout.checksum);
  check_checksum((std::filesystem::path(folder) / "tokenizer.json").string(),
                 data.manifest.tokenizer_checksum);
  return data;
}

double bits_per_byte(double nats_per_token, const DataPart& part) {
  if (part.bytes == 0) return 0;
  return nats_per_token * std::numbers::log2e * static_cast<double>(part.tokens) /
         static_cast<double>(part.bytes);
}

}  // namespace dsllm
