#include "ref/core/safetensors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "ref/core/json.hpp"
#include "ref/core/parallel.hpp"

namespace dsllm {
namespace {

constexpr uint64_t max_header = 100'000'000;  // bytes; the limit of the original implementation

std::string place_of(const std::string& name) {
  return fmt::format("tensor '{}'", name);
}

std::string brief(const SortedJson& value) {
  std::string text = value.dump(-1, ' ', true);  // ASCII only, so that it can be cut anywhere
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

// An array of whole numbers >= 0 that fit in 63 bits. JSON numbers beyond 64 bits arrive as floating point.
bool read_counts(const SortedJson& value, std::vector<int64_t>& counts) {
  if (!value.is_array()) return false;
  for (const SortedJson& n : value) {
    if (!n.is_number_unsigned() || n.get<uint64_t>() > INT64_MAX) return false;
    counts.push_back(n.get<int64_t>());
  }
  return true;
}

struct Entry {
  TensorInfo info;
  int64_t begin = 0, end = 0;  // bytes after the header
};

// "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
Entry parse_entry(const std::string& name, const SortedJson& fields, int64_t data_bytes,
                  const std::string& path) {
  const std::string place = place_of(name);
  if (!fields.is_object()) throw FileError(path, place, "an object", brief(fields));
  for (const auto& [key, value] : fields.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      throw FileError(path, place, "only dtype, shape and data_offsets", fmt::format("'{}'", key));
  for (const char* key : {"dtype", "shape", "data_offsets"})
    if (!fields.contains(key)) throw FileError(path, place, fmt::format("a field '{}'", key), "none");

  Entry entry;
  entry.info.name = name;
  const SortedJson& dtype = fields["dtype"];
  const auto known = std::find_if(dtypes.begin(), dtypes.end(), [&](const DTypeInfo& d) {
    return dtype.is_string() && d.name == dtype.get_ref<const std::string&>();
  });
  if (known == dtypes.end()) throw FileError(path, place, "a known dtype", brief(dtype));
  entry.info.dtype = known->dtype;

  std::vector<int64_t> offsets;
  if (!read_counts(fields["shape"], entry.info.shape))
    throw FileError(path, place, "a shape of whole numbers >= 0", brief(fields["shape"]));
  if (!read_counts(fields["data_offsets"], offsets) || offsets.size() != 2 || offsets[0] > offsets[1])
    throw FileError(path, place, "data_offsets [begin, end] with 0 <= begin <= end",
                    brief(fields["data_offsets"]));
  entry.begin = offsets[0];
  entry.end = offsets[1];

  const std::optional<int64_t> bytes = byte_count(entry.info.dtype, entry.info.shape);
  if (!bytes)
    throw FileError(path, place, "a shape whose bytes fit in 63 bits",
                    fmt::format("{} {}", known->name, brief(fields["shape"])));
  if (*bytes != entry.end - entry.begin)
    throw FileError(path, place,
                    fmt::format("{} bytes for {} {}", *bytes, known->name, brief(fields["shape"])),
                    fmt::format("{} in [{}, {}]", entry.end - entry.begin, entry.begin, entry.end));
  if (entry.end > data_bytes)
    throw FileError(path, place, fmt::format("offsets inside the {} data bytes", data_bytes),
                    fmt::format("[{}, {}]", entry.begin, entry.end));
  return entry;
}

}  // namespace

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& path) {
  if (file.size() < 8)
    throw FileError(path, "", "8 bytes with the length of the header", fmt::format("{}", file.size()));
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | std::to_integer<uint64_t>(file[static_cast<size_t>(i)]);
  if (length > max_header)
    throw FileError(path, "header", fmt::format("at most {} bytes", max_header), fmt::format("{}", length));
  if (length > file.size() - 8)
    throw FileError(path, "header",
                    fmt::format("a length of at most the {} bytes that follow", file.size() - 8),
                    fmt::format("{}", length));
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + 8, length);
  const std::span<const std::byte> data = file.subspan(8 + length);
  if (text.empty() || text[0] != '{')
    throw FileError(
        path, "header", "a JSON object, beginning with '{'",
        text.empty() ? "nothing" : fmt::format("byte {}", static_cast<int>(static_cast<uint8_t>(text[0]))));

  SafetensorsHeader header;
  std::vector<Entry> entries;
  const SortedJson json = parse_sorted_json(text, path);
  for (const auto& [name, value] : json.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(name, value, static_cast<int64_t>(data.size()), path));
      continue;
    }
    if (!value.is_object()) throw FileError(path, "__metadata__", "an object", brief(value));
    for (const auto& [key, word] : value.items()) {
      if (!word.is_string())
        throw FileError(path, fmt::format("__metadata__ '{}'", key), "a string", brief(word));
      header.metadata[key] = word.get<std::string>();
    }
  }

  // Without gap and overlap, each tensor begins where the one before it ends, and the last ends with the file.
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t end = 0;
  for (Entry& entry : entries) {
    if (entry.begin != end)
      throw FileError(path, place_of(entry.info.name),
                      fmt::format("its data at {}, where the one before it ends", end),
                      fmt::format("{} at {}", entry.begin < end ? "an overlap" : "a gap", entry.begin));
    entry.info.bytes =
        data.subspan(static_cast<size_t>(entry.begin), static_cast<size_t>(entry.end - entry.begin));
    end = entry.end;
    header.tensors.push_back(std::move(entry.info));
  }
  if (static_cast<size_t>(end) != data.size())
    throw FileError(path, "", "no bytes after the last tensor",
                    fmt::format("{}", data.size() - static_cast<size_t>(end)));
  return header;
}

size_t SafetensorsReader::add_file(const std::string& path) {
  const MappedFile& file = files_.emplace_back(path);
  const size_t first = tensors_.size();
  SafetensorsHeader header = parse_safetensors(file.bytes(), path);
  for (TensorInfo& t : header.tensors) {
    if (!index_.emplace(t.name, tensors_.size()).second)
      throw FileError(path, place_of(t.name), "a name that no other shard has", "a second one");
    tensors_.push_back(std::move(t));
  }
  metadata_.merge(header.metadata);
  return first;
}

const TensorInfo& SafetensorsReader::info(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) throw FileError(path_, place_of(name), "a tensor of that name", "none");
  return tensors_[found->second];
}

void SafetensorsReader::check_type(const TensorInfo& t, DType dtype, int n) const {
  if (t.dtype != dtype)
    throw FileError(path_, place_of(t.name), fmt::format("{}", describe(dtype).name),
                    fmt::format("{}", describe(t.dtype).name));
  const bool scalar_as_one = t.shape.empty() && n == 1;
  if (static_cast<int>(t.shape.size()) != n && !scalar_as_one)
    throw FileError(path_, place_of(t.name), fmt::format("{} extents", n),
                    fmt::format("[{}]", fmt::join(t.shape, ", ")));
}

void SafetensorsReader::check_extents(const TensorInfo& t, const int64_t* extent, int n) const {
  const bool scalar_as_one = t.shape.empty() && n == 1 && extent[0] == 1;
  if (!scalar_as_one && !std::equal(t.shape.begin(), t.shape.end(), extent, extent + n))
    throw FileError(path_, place_of(t.name), describe_shape(extent, n),
                    fmt::format("[{}]", fmt::join(t.shape, ", ")));
}

void SafetensorsReader::check_alignment(const TensorInfo& t, size_t alignment) const {
  if (!t.bytes.empty() && reinterpret_cast<uintptr_t>(t.bytes.data()) % alignment != 0)
    throw FileError(path_, place_of(t.name),
                    fmt::format("data at a multiple of {} bytes, to be used where it lies", alignment),
                    "another place; copy it");
}

void SafetensorsReader::check_booleans(const TensorInfo& t) const {
  for (const std::byte b : t.bytes)
    if (std::to_integer<int>(b) > 1)
      throw FileError(path_, place_of(t.name), "booleans of 0 or 1",
                      fmt::format("{}", std::to_integer<int>(b)));
}

namespace {

template <class Stored, class T, class Convert>
void convert_elements(std::span<const std::byte> bytes, std::span<T> out, Convert convert) {
  parallel_pieces(static_cast<int64_t>(out.size()), int64_t{1} << 20, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Stored x;  // copied: the file may put it anywhere
      std::memcpy(&x, bytes.data() + static_cast<size_t>(i) * sizeof(Stored), sizeof(Stored));
      out[static_cast<size_t>(i)] = convert(x);
    }
  });
}

template <class T>
void convert_tensor(const std::string& path, const TensorInfo& t, std::span<T> out) {
  if (static_cast<int64_t>(out.size()) != t.elements())
    throw FileError(path, place_of(t.name), fmt::format("{} elements", out.size()),
                    fmt::format("{}", t.elements()));
  const auto cast = [](auto x) { return static_cast<T>(x); };
  if (t.dtype == DType::f64) return convert_elements<double>(t.bytes, out, cast);
  if (t.dtype == DType::f32) return convert_elements<float>(t.bytes, out, cast);
  if (t.dtype == DType::bf16)
    return convert_elements<bf16>(t.bytes, out, [](bf16 x) { return static_cast<T>(static_cast<float>(x)); });
  if (t.dtype == DType::f16)
    return convert_elements<f16>(t.bytes, out, [](f16 x) { return static_cast<T>(f16_to_float(x)); });
  throw FileError(path, place_of(t.name), "F64, F32, BF16 or F16", std::string(describe(t.dtype).name));
}

}  // namespace

void SafetensorsReader::read_as(const std::string& name, std::span<float> out) const {
  convert_tensor(path_, info(name), out);
}

void SafetensorsReader::read_as(const std::string& name, std::span<double> out) const {
  convert_tensor(path_, info(name), out);
}

SafetensorsFile::SafetensorsFile(const std::string& path) {
  path_ = path;
  add_file(path);
}

namespace {

// {"metadata": {"total_size": 123, ...}, "weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors", ...}}
std::map<std::string, std::string> read_weight_map(const std::string& path) {
  const SortedJson index = parse_sorted_json(read_file(path), path);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    throw FileError(path, "", "an object 'weight_map'", "none");
  std::map<std::string, std::string> shard_of;
  for (const auto& [name, file] : index["weight_map"].items()) {
    // A name inside the folder, never a path out of it.
    const std::string shard = file.is_string() ? file.get<std::string>() : "";
    if (shard.empty() || shard == "." || shard == ".." ||
        shard.find_first_of(std::string_view("/\\\0", 3)) != shard.npos)
      throw FileError(path, place_of(name), "the name of a file in the same folder", brief(file));
    shard_of[name] = shard;
  }
  return shard_of;
}

}  // namespace

SafetensorsModel::SafetensorsModel(const std::string& folder) {
  path_ = folder;
  const std::string single = folder + "/model.safetensors", index = folder + "/model.safetensors.index.json";
  const bool has_single = std::filesystem::exists(single), has_index = std::filesystem::exists(index);
  if (has_single == has_index)
    throw FileError(folder, "", "either model.safetensors or model.safetensors.index.json",
                    has_single ? "both" : "neither");
  if (has_single) {
    add_file(single);
    return;
  }
  const std::map<std::string, std::string> shard_of = read_weight_map(index);
  std::set<std::string> shards;
  for (const auto& [name, shard] : shard_of) shards.insert(shard);
  for (const std::string& shard : shards) {
    const std::string path = folder + "/" + shard;
    for (size_t i = add_file(path); i < tensors().size(); ++i) {
      const auto listed = shard_of.find(tensors()[i].name);
      if (listed == shard_of.end() || listed->second != shard)
        throw FileError(path, place_of(tensors()[i].name), "its name in the index, with this file",
                        listed == shard_of.end() ? "none" : fmt::format("'{}'", listed->second));
    }
  }
  for (const auto& [name, shard] : shard_of)
    if (!contains(name))
      throw FileError(folder + "/" + shard, place_of(name), "the tensor that the index promises", "none");
}

}  // namespace dsllm
