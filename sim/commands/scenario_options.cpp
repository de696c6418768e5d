#include "sim/commands/scenario_options.hpp"

#include <fmt/format.h>

#include "ref/core/error.hpp"
#include "ref/core/fields_json.hpp"
#include "ref/core/file.hpp"

namespace dsllm::sim {

namespace {

constexpr const char* command_line = "command line";

}  // namespace

Scenario read_scenario(const ScenarioOptions& options) {
  Scenario scenario;
  if (!options.file.empty()) scenario = scenario_from_json(read_json(options.file), options.file);
  if (!options.model.empty()) scenario.model = find_model(options.model);
  // Over what there is so far: the same reader as a file's, so that the same things are errors.
  Json whole = scenario_to_json(scenario);
  for (const auto& [section, fields] : options.given.items()) {
    for (const auto& [field, value] : fields.items()) whole[section][field] = value;
    if (section != "model") continue;
    // What follows from a new width unless it is given too.
    const bool wider = fields.contains("d_model") || fields.contains("n_heads");
    const int64_t n_heads = whole["model"]["n_heads"];
    if (wider && n_heads > 0 && !fields.contains("d_head")) {
      const int64_t d_model = whole["model"]["d_model"];
      if (d_model % n_heads != 0)
        throw ConfigError("d_model", fmt::format("a multiple of n_heads = {}", n_heads),
                          fmt::to_string(d_model));
      whole["model"]["d_head"] = d_model / n_heads;
    }
    if ((fields.contains("d_model") || fields.contains("gated")) && !fields.contains("d_ff")) {
      const int64_t d_model = whole["model"]["d_model"];
      whole["model"]["d_ff"] = whole["model"]["gated"].get<bool>() ? default_d_ff(d_model) : 4 * d_model;
    }
  }
  return scenario_from_json(whole, command_line);
}

void save_scenario(const ScenarioOptions& options, const Scenario& scenario) {
  if (!options.save.empty()) write_file_atomically(options.save, scenario_to_json(scenario).dump(2) + "\n");
}

LayoutChoices choices_of(const ScenarioOptions& options) {
  LayoutChoices choices;
  const auto layout = options.given.find("layout");
  if (layout == options.given.end()) return choices;
  const auto take = [&](const char* field, auto& choice) {
    const auto it = layout->find(field);
    if (it != layout->end())
      choice = it->template get<typename std::remove_cvref_t<decltype(choice)>::value_type>();
  };
  take("dp", choices.dp);
  take("tp", choices.tp);
  take("pp", choices.pp);
  take("interleave", choices.interleave);
  take("zero", choices.zero);
  take("micro_batch", choices.micro_batch);
  take("sp", choices.sp);
  if (choices.dp == 0) choices.dp.reset();  // "what is left", as everywhere
  choices.cp = layout->value("cp", int64_t{1});
  std::optional<std::string> name;
  take("schedule", name);
  if (name) choices.schedule = schedule_from_string(*name);
  name.reset();
  take("recompute", name);
  if (name) choices.recompute = recompute_from_string(*name);
  return choices;
}

std::string name_of_model(const Model& model) {
  for (const std::string& name : model_names())
    if (fields_to_json(find_model(name)) == fields_to_json(model)) return name;
  return "model";
}

std::string describe_layout(const Layout& l) {
  std::string text = fmt::format("dp {} x tp {} x pp {}", l.dp, l.tp, l.pp);
  if (l.cp > 1) text += fmt::format(" x cp {}", l.cp);
  text += fmt::format(", micro-batch {}", l.micro_batch);
  if (l.pp > 1) text += fmt::format(", {}", to_string(l.schedule));
  if (l.interleave > 1) text += fmt::format(" with {} chunks", l.interleave);
  text += fmt::format(", ZeRO {}", l.zero);
  if (l.sp) text += ", sequence parallel";
  text += fmt::format(", recompute {}", to_string(l.recompute));
  return text;
}

}  // namespace dsllm::sim
