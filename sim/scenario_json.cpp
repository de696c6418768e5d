// Scenario files.
#include <fmt/format.h>

#include "ref/core/error.hpp"
#include "ref/core/fields_json.hpp"
#include "sim/scenario.hpp"

namespace dsllm::sim {

namespace {

constexpr const char* version_field = "dsllm-sim";
constexpr int version = 1;

// "model": a preset's name, or fields, of which "preset" says where those that are left out come from. As in a model's
// config file, d_head and d_ff follow a new d_model or n_heads unless they are named too.
Model model_from_json(const Json& json, const std::string& path) {
  if (json.is_string()) return find_model(json.get<std::string>());
  if (!json.is_object())
    throw FileError(path, "field 'model'", "a model's name or an object", json.dump().substr(0, 60));
  Json fields = json;
  Model model;
  if (const auto it = fields.find("preset"); it != fields.end()) {
    if (!it->is_string()) throw FileError(path, "field 'model.preset'", "a string", it->dump().substr(0, 60));
    model = find_model(it->get<std::string>());
    fields.erase(it);
  }
  const Model before = model;
  read_fields(fields, model, path);
  check_ranges(model);
  if (!fields.contains("d_head") && (model.d_model != before.d_model || model.n_heads != before.n_heads)) {
    if (model.d_model % model.n_heads != 0)
      throw ConfigError("d_model", fmt::format("a multiple of n_heads = {}", model.n_heads),
                        fmt::to_string(model.d_model));
    model.d_head = model.d_model / model.n_heads;
  }
  if (!fields.contains("d_ff") && (model.d_model != before.d_model || model.gated != before.gated))
    model.d_ff = model.gated ? default_d_ff(model.d_model) : 4 * model.d_model;
  return model;
}

template <class Config>
void read_section(const Json& json, const std::string& path, Config& config) {
  read_fields(json, config, path);
  check_ranges(config);
}

}  // namespace

Scenario scenario_from_json(const Json& json, const std::string& path) {
  if (!json.is_object()) throw FileError(path, "", "a JSON object", json.dump().substr(0, 60));
  const auto found = json.find(version_field);
  if (found == json.end())
    throw FileError(path, "", fmt::format("a scenario, with \"{}\": {}", version_field, version),
                    fmt::format("no field '{}'", version_field));
  if (*found != version)
    throw FileError(path, fmt::format("field '{}'", version_field),
                    fmt::format("version {} of this format", version), found->dump().substr(0, 60));
  Scenario scenario;
  for (const auto& [key, value] : json.items()) {
    if (key == "model")
      scenario.model = model_from_json(value, path);
    else if (key == "cluster")
      read_section(value, path + ": cluster", scenario.cluster);
    else if (key == "layout")
      read_section(value, path + ": layout", scenario.layout);
    else if (key == "recipe")
      read_section(value, path + ": recipe", scenario.recipe);
    else if (key != version_field)
      throw ConfigError(fmt::format("{}: field '{}'", path, key),
                        fmt::format("one of {}, model, cluster, layout, recipe", version_field),
                        "an unknown field");
  }
  return scenario;
}

Json scenario_to_json(const Scenario& scenario) {
  Json json = Json::object();
  json[version_field] = version;
  json["model"] = fields_to_json(scenario.model);
  json["cluster"] = fields_to_json(scenario.cluster);
  json["layout"] = fields_to_json(scenario.layout);
  json["recipe"] = fields_to_json(scenario.recipe);
  return json;
}

}  // namespace dsllm::sim
