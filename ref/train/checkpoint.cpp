#include "ref/train/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "ref/core/checksum.hpp"
#include "ref/core/error.hpp"
#include "ref/core/fields_json.hpp"
#include "ref/core/file.hpp"
#include "ref/core/safetensors.hpp"
#include "ref/core/safetensors_writer.hpp"
#include "ref/core/tensor.hpp"
#include "ref/train/checkpoint_state.hpp"

namespace dsllm {
namespace {

namespace fs = std::filesystem;

constexpr const char* prefix = "step-";

// "step-000123" -> 123
std::optional<int64_t> step_of(const std::string& name) {
  const std::string digits = name.starts_with(prefix) ? name.substr(5) : "";
  if (digits.size() < 6 || digits.size() > 18) return std::nullopt;
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  return std::stoll(digits);
}

// A folder that disappears with its content unless it has been renamed.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {
    std::error_code error;
    fs::remove_all(path_, error);  // of a save that was killed
    if (!error) fs::create_directories(path_, error);
    if (error) throw FileError(path_.string(), "", "a folder that can be made", error.message());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }
  void rename(const fs::path& to) {
    std::error_code error;
    fs::rename(path_, to, error);
    if (error) throw FileError(to.string(), "", "a folder that can be renamed", error.message());
    path_.clear();
  }

 private:
  fs::path path_;
};

// Writes the given parts of every parameter, one after the other through one buffer.
void write_tensors(const std::string& path, const TrainEngine& engine,
                   const std::vector<std::pair<StatePart, std::string>>& parts) {
  std::vector<TensorSpec> specs;
  int64_t largest = 0;
  for (const auto& [part, name_prefix] : parts)
    for (const ParameterInfo& p : engine.parameters()) {
      specs.push_back({name_prefix + p.name, DType::f32, p.shape});
      largest = std::max(largest, p.size);
    }
  SafetensorsWriter writer(path, std::move(specs));
  const Tensor<float, 1> buffer(largest);
  for (const auto& [part, name_prefix] : parts)
    for (const ParameterInfo& p : engine.parameters()) {
      engine.copy_out(part, p, buffer.rows(0, p.size));
      writer.write(name_prefix + p.name, buffer.rows(0, p.size));
    }
  writer.commit();
}

const std::vector<std::pair<StatePart, std::string>> weight_parts = {{StatePart::weights, ""}};
const std::vector<std::pair<StatePart, std::string>> moment_parts = {{StatePart::adam_m, "adam_m."},
                                                                     {StatePart::adam_v, "adam_v."}};

void write_manifest(const fs::path& folder) {
  Json files = Json::object();
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths)
    files[path.filename().string()] = {{"bytes", fs::file_size(path)},
                                       {"xxh3", file_checksum(path.string())}};
  const Json manifest{{"files", files}};
  write_file_atomically((folder / "manifest.json").string(), manifest.dump(2) + "\n");
}

// Removes checkpoints older than `step`, but for the newest keep - 1 that are whole, and what killed processes have left.
// Each gets another name first: a removal that is broken off leaves no checkpoint behind that looks like a torn one.
void remove_older(const std::string& run, int64_t step, const SaveOptions& options) {
  std::error_code ignored;  // what cannot be removed is no reason to stop a run
  const auto entries = list_checkpoints(run);
  int64_t kept = 1;
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (entry->step >= step || entry->step == options.pinned) continue;
    if (kept < options.keep && !find_damage(entry->path, false))
      ++kept;
    else
      fs::rename(entry->path, entry->path + ".removed.tmp", ignored);
  }
  std::vector<fs::path> leftovers;
  for (fs::directory_iterator it(fs::path(run) / "checkpoints", ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".tmp")) leftovers.push_back(it->path());
  }
  for (const fs::path& path : leftovers) fs::remove_all(path, ignored);
}

void check_same_shape(const ModelConfig& saved, const ModelConfig& model, const std::string& path) {
  const auto describe_model = [](const ModelConfig& c) {
    return fmt::format(
        "n_layers {}, d_model {}, n_heads {}, n_kv_heads {}, d_head {}, d_ff {}, vocab_size {}, rope_theta "
        "{}, "
        "rms_eps {}",
        c.n_layers, c.d_model, c.n_heads, c.n_kv_heads, c.d_head, c.d_ff, c.vocab_size, c.rope_theta,
        c.rms_eps);
  };
  const std::string before = describe_model(saved), now = describe_model(model);
  if (before != now) throw ConfigError(path, "the shape of this model, " + now, before);
}

}  // namespace

std::string checkpoint_path(const std::string& run, int64_t step) {
  return (fs::path(run) / "checkpoints" / fmt::format("{}{:06}", prefix, step)).string();
}

std::vector<CheckpointEntry> list_checkpoints(const std::string& run) {
  std::vector<CheckpointEntry> entries;
  std::error_code error;
  for (fs::directory_iterator it(fs::path(run) / "checkpoints", error), end; !error && it != end;
       it.increment(error))
    if (const auto step = step_of(it->path().filename().string()))
      entries.push_back({*step, it->path().string()});
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return entries;
}

std::optional<std::string> find_damage(const std::string& checkpoint, bool check_contents) try {
  const fs::path folder = checkpoint;
  if (!fs::exists(folder / "manifest.json")) return "it has no manifest.json";
  const Json manifest = read_json((folder / "manifest.json").string());
  const Json& files = manifest.at("files");
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "state.json"})
    if (!files.contains(name)) return fmt::format("its manifest does not name {}", name);
  for (const auto& [name, facts] : files.items()) {
    const fs::path path = folder / name;
    if (!fs::is_regular_file(path)) return fmt::format("{} is missing", name);
    const auto expected = facts.at("bytes").get<uint64_t>(),
               size = static_cast<uint64_t>(fs::file_size(path));
    if (size != expected) return fmt::format("{} has {} bytes, not {}", name, size, expected);
    if (check_contents && file_checksum(path.string()) != facts.at("xxh3").get<std::string>())
      return fmt::format("the checksum of {} is wrong", name);
  }
  return std::nullopt;
} catch (const std::exception& e) {  // broken JSON, a file that vanishes: all mean the same here
  return e.what();
}

std::optional<CheckpointEntry> newest_whole_checkpoint(
    const std::string& run, const std::function<void(const std::string&, const std::string&)>& report) {
  const auto entries = list_checkpoints(run);
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    const auto damage = find_damage(entry->path, true);
    if (!damage) return *entry;
    if (report) report(entry->path, *damage);
  }
  return std::nullopt;
}

std::string save_checkpoint(const std::string& run, const TrainEngine& engine, const CheckpointState& state,
                            const SaveOptions& options) {
  const fs::path final_path = checkpoint_path(run, state.step);
  TemporaryFolder folder(final_path.string() + ".tmp");
  write_tensors((folder.path() / "model.safetensors").string(), engine, weight_parts);
  write_tensors((folder.path() / "optimizer.safetensors").string(), engine, moment_parts);
  write_file_atomically((folder.path() / "state.json").string(), state_to_json(state).dump(2) + "\n");
  for (const auto& [name, content] : options.extra_files)
    write_file_atomically((folder.path() / name).string(), content);
  write_manifest(folder.path());
  // A rename replaces no folder that has content: one of the same step (a torn one, as a rule) steps aside.
  std::optional<TemporaryFolder> replaced;
  if (fs::exists(final_path)) {
    replaced.emplace(final_path.string() + ".replaced.tmp");
    std::error_code error;
    fs::rename(final_path, replaced->path(), error);
    if (error) throw FileError(final_path.string(), "", "a folder that can be replaced", error.message());
  }
  folder.rename(final_path);
  flush_directory(final_path.parent_path().string());
  flush_directory(run);  // which may have a new folder "checkpoints"
  remove_older(run, state.step, options);
  return final_path.string();
}

CheckpointState read_checkpoint_state(const std::string& checkpoint) {
  const std::string path = (fs::path(checkpoint) / "state.json").string();
  return state_from_json(read_json(path), path);
}

CheckpointState load_checkpoint(const std::string& checkpoint, TrainEngine& engine) {
  if (const auto damage = find_damage(checkpoint, true))
    throw FileError(checkpoint, "", "a whole checkpoint", *damage);
  const CheckpointState state = read_checkpoint_state(checkpoint);
  check_same_shape(state.model, engine.config(), checkpoint);
  const SafetensorsFile weights((fs::path(checkpoint) / "model.safetensors").string());
  const SafetensorsFile moments((fs::path(checkpoint) / "optimizer.safetensors").string());
  // First look, then touch: after an error the engine is what it was.
  for (const bool copy : {false, true})
    for (const auto* file : {&weights, &moments})
      for (const auto& [part, name_prefix] : file == &weights ? weight_parts : moment_parts)
        for (const ParameterInfo& p : engine.parameters()) {
          const TensorInfo& tensor = file->info(name_prefix + p.name);
          if (tensor.shape != p.shape || tensor.dtype != DType::f32)
            throw FileError(
                file->path(), fmt::format("tensor '{}'", tensor.name),
                "F32 " + describe_shape(p.shape.data(), static_cast<int>(p.shape.size())),
                fmt::format("{} {}", describe(tensor.dtype).name,
                            describe_shape(tensor.shape.data(), static_cast<int>(tensor.shape.size()))));
          if (!copy) continue;
          Tensor<float, 1> buffer(p.size);
          file->read_as(tensor.name, std::span<float>(buffer.data, static_cast<size_t>(p.size)));
          engine.copy_in(part, p, View<const float, 1>(buffer));
        }
  return state;
}

}  // namespace dsllm
