// Options for every field of a scenario, from the lists of fields: --n-layers, --gpus, --tp, --sp, --no-overlap-dp ...
// For main.cpp only, since nothing else knows CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "sim/commands/scenario_options.hpp"

namespace dsllm::sim {

// "n_layers" -> "--n-layers"
inline std::string option_name(std::string field) {
  for (char& letter : field)
    if (letter == '_') letter = '-';
  return "--" + field;
}

// What an option is given goes into given[section][field], in a scenario file's form; its reader checks it.
template <class Config>
void add_field_options(CLI::App* command, const char* section, const char* group,
                       const std::shared_ptr<ScenarioOptions>& options) {
  const Config defaults;
  visit_fields(defaults, [&](const Field& field, const auto& value) {
    using Value = std::remove_cvref_t<decltype(value)>;
    const std::string name = option_name(field.name);
    const auto put = [options, section, key = std::string(field.name)](const Value& given) {
      options->given[section][key] = given;
    };
    if constexpr (std::is_same_v<Value, bool>)
      command
          ->add_flag_function(
              name + ",!" + option_name("no_" + std::string(field.name)),
              [put](int64_t times) { put(times > 0); }, field.meaning)
          ->group(group);
    else
      command->add_option_function<Value>(name, put, field.meaning)->group(group);
  });
}

inline void add_scenario_options(CLI::App* command, const std::shared_ptr<ScenarioOptions>& options) {
  command->add_option("--model", options->model,
                      "a model by name, see `dsllm-sim models`; other shapes by --n-layers ...");
  command->add_option("--scenario", options->file, "a scenario file to begin with; options win over it");
  command->add_option("--save", options->save, "write the scenario to this file");
  add_field_options<Cluster>(command, "cluster", "Cluster", options);
  add_field_options<Layout>(command, "layout", "Layout", options);
  add_field_options<Model>(command, "model", "Model", options);
  add_field_options<Recipe>(command, "recipe", "Recipe", options);
}

}  // namespace dsllm::sim
