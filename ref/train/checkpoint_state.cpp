#include "ref/train/checkpoint_state.hpp"

#include "ref/core/fields_json.hpp"

namespace dsllm {
namespace {

// The numbers of state.json, in one list.
struct Progress {
  int64_t step = 0, tokens = 0, epoch = 0, index = 0;
  std::string data_checksum;
};

template <class Config, class Visit>
requires is_config<Config, Progress>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"step", "steps done", 0, 1e15}, c.step);
  visit(Field{"tokens", "tokens seen", 0, 0x1p53}, c.tokens);
  visit(Field{"data_epoch", "epochs of the data that are complete", 0, 1e12}, c.epoch);
  visit(Field{"data_index", "sequences read of the next one", 0, 1e12}, c.index);
  visit(Field{"data_checksum", "checksum of the training text"}, c.data_checksum);
}

}  // namespace

Json state_to_json(const CheckpointState& state) {
  Json json = fields_to_json(
      Progress{state.step, state.tokens, state.position.epoch, state.position.index, state.data_checksum});
  json["generator"] = {{"name", "philox4x32-10"}, {"seed", state.train.seed}};
  json["model"] = model_config_to_json(state.model);
  json["train"] = train_config_to_json(state.train);
  return json;
}

CheckpointState state_from_json(const Json& json, const std::string& path) {
  if (!json.is_object()) throw FileError(path, "", "a JSON object", json.dump().substr(0, 60));
  Json fields = json;
  for (const char* name : {"model", "train", "generator"}) {
    if (!json.contains(name)) throw FileError(path, "", fmt::format("an object '{}'", name), "none");
    fields.erase(name);
  }
  Progress progress;
  read_fields(fields, progress, path);
  visit_fields(progress, [&](const Field& field, const auto&) {
    if (!fields.contains(field.name))
      throw FileError(path, fmt::format("field '{}'", field.name), field.meaning, "nothing");
  });
  check_ranges(progress);
  CheckpointState state;
  state.step = progress.step;
  state.tokens = progress.tokens;
  state.position = {progress.epoch, progress.index};
  state.data_checksum = progress.data_checksum;
  state.model = model_config_from_json(json.at("model"), path);
  state.train = train_config_from_json(json.at("train"), path);
  const Json generator = {{"name", "philox4x32-10"}, {"seed", state.train.seed}};
  if (json.at("generator") != generator)
    throw FileError(path, "field 'generator'", generator.dump(), json.at("generator").dump().substr(0, 60));
  return state;
}

}  // namespace dsllm
