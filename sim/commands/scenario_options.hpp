// Where a command's scenario comes from: a file, a model's name, and fields given one by one.
#pragma once

#include <string>

#include "ref/core/json.hpp"
#include "sim/scenario.hpp"
#include "sim/search/layouts.hpp"

namespace dsllm::sim {

struct ScenarioOptions {
  std::string model;  // a preset's name; "": the file's model
  std::string file;   // a scenario file to begin with; "": the defaults
  std::string save;   // where to write the scenario; "": nowhere
  // {"cluster": {"gpus": 1024}, ...}: fields that are given, in a scenario file's form. They win over the file.
  Json given = Json::object();
};

// The file, then the model, then the fields; not yet `checked`. Throws FileError, ConfigError, ValueError.
Scenario read_scenario(const ScenarioOptions& options);

// Writes it where options.save says, if it says so.
void save_scenario(const ScenarioOptions& options, const Scenario& scenario);

// The layout's fields that are given are fixed for a search; the others are free. A file's layout fixes only the batch.
LayoutChoices choices_of(const ScenarioOptions& options);

// "deepseek-llm-67b" where the shape is a preset's, otherwise "model".
std::string name_of_model(const Model& model);
// "8 dp x 4 tp x 2 pp, micro-batch 1, 1f1b, ZeRO 1, sequence parallel, recompute selective"
std::string describe_layout(const Layout& layout);

}  // namespace dsllm::sim
