#include "ref/train/train_config.hpp"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "ref/core/fields_json.hpp"

namespace dsllm {
namespace {

std::vector<ref::LrStage> read_stages(const Json& json, const std::string& path) {
  const auto fail = [&](const Json& got) {
    throw FileError(path, "field 'stages'", "pairs [fraction of the tokens, factor of the rate]",
                    got.dump().substr(0, 60));
  };
  if (!json.is_array()) fail(json);
  std::vector<ref::LrStage> stages;
  for (const Json& pair : json) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number() || !pair[1].is_number()) fail(pair);
    stages.push_back({pair[0].get<double>(), pair[1].get<double>()});
  }
  return stages;
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

void TrainConfig::validate() const {
  check_ranges(*this);
  if (batch % micro_batch != 0)
    throw ConfigError("batch", fmt::format("a multiple of micro_batch = {}", micro_batch),
                      fmt::to_string(batch));
  lr_schedule().validate(total_steps());
}

ref::LrSchedule TrainConfig::lr_schedule() const {
  return {ref::lr_shape(schedule), lr, warmup_steps, stages, min_ratio};
}

TrainConfig train_config_from_json(const Json& json, const std::string& path) {
  if (!json.is_object()) throw FileError(path, "", "a JSON object", json.dump().substr(0, 60));
  TrainConfig config;
  Json fields = json;
  if (const auto it = fields.find("stages"); it != fields.end()) {
    config.stages = read_stages(*it, path);
    fields.erase(it);
  }
  read_fields(fields, config, path);
  config.validate();
  return config;
}

Json train_config_to_json(const TrainConfig& config) {
  Json json = fields_to_json(config);
  json["stages"] = Json::array();
  for (const ref::LrStage& stage : config.stages)
    json["stages"].push_back(Json::array({stage.fraction, stage.factor}));
  return json;
}

RunConfig run_config_from_json(const Json& json, const std::string& path) {
  if (!json.is_object()) throw FileError(path, "", "a JSON object", json.dump().substr(0, 60));
  for (const char* name : {"model", "train"})
    if (!json.contains(name)) throw FileError(path, "", fmt::format("an object '{}'", name), "none");
  for (const auto& [key, value] : json.items())
    if (key != "model" && key != "train")
      throw ConfigError(fmt::format("{}: field '{}'", path, key), "model or train", "an unknown field");
  RunConfig config{model_config_from_json(json["model"], path), train_config_from_json(json["train"], path)};
  if (config.train.seq_len > config.model.seq_len)
    throw ConfigError("train.seq_len", fmt::format("at most the model's {}", config.model.seq_len),
                      fmt::to_string(config.train.seq_len));
  return config;
}

RunConfig read_run_config(const std::string& path) {
  return run_config_from_json(read_json(path), path);
}

Json run_config_to_json(const RunConfig& config) {
  Json json = Json::object();
  json["model"] = model_config_to_json(config.model);
  json["train"] = train_config_to_json(config.train);
  return json;
}

void check_continues(const TrainConfig& saved, const TrainConfig& config, bool other_budget) {
  const Json before = train_config_to_json(saved), now = train_config_to_json(config);
  for (const auto& [name, value] : before.items()) {
    if (is_one_of(name, {"log_every", "eval_every", "eval_tokens", "checkpoint_every", "keep"})) continue;
    if (other_budget && is_one_of(name, {"tokens", "schedule", "stages", "min_ratio"})) continue;
    if (now.at(name) != value)
      throw ConfigError(name, fmt::format("{}, as in the checkpoint", value.dump()), now.at(name).dump());
  }
}

}  // namespace dsllm
