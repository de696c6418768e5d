#include "ref/model/commands.hpp"

#include <fmt/format.h>

#include "ref/core/error.hpp"
#include "ref/core/fields_json.hpp"
#include "ref/core/npy.hpp"
#include "ref/model/hugging_face.hpp"
#include "ref/model/transformer.hpp"

namespace dsllm {
namespace {

// 6910365696 -> 6,910,365,696
std::string with_commas(int64_t n) {
  std::string text = fmt::to_string(n);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::string one_line(const ModelConfig& c) {
  return fmt::format("{} layers, d_model {}, {} heads of {} ({} for keys and values), d_ff {}, vocabulary {}",
                     c.n_layers, c.d_model, c.n_heads, c.d_head, c.n_kv_heads, c.d_ff, c.vocab_size);
}

}  // namespace

ModelConfig read_model_config(const std::string& path) {
  const Json json = read_json(path);
  if (json.is_object() && json.contains("hidden_size")) return config_from_hugging_face(json, path).model;
  if (json.is_object() && json.contains("model")) return model_config_from_json(json["model"], path);
  return model_config_from_json(json, path);
}

void params_command(const ParamsOptions& options, std::ostream& out) {
  if (options.preset.empty() == options.config_file.empty())
    throw UsageError("params", "either --preset or --config", options.preset.empty() ? "neither" : "both");
  const ModelConfig config =
      options.preset.empty() ? read_model_config(options.config_file) : model_preset(options.preset);
  const std::vector<ParameterCount> rows = count_parameters(config);
  if (options.json) {
    Json json{{"config", model_config_to_json(config)}, {"parameters", Json::array()}};
    for (const ParameterCount& row : rows) {
      if (row.name == "total") {
        json["total"] = row.total;
        continue;
      }
      json["parameters"].push_back({{"name", row.name}, {"per_layer", row.per_layer}, {"total", row.total}});
    }
    out << json.dump(2) << "\n";
    return;
  }
  out << (options.preset.empty() ? options.config_file : options.preset) << ": " << one_line(config)
      << "\n\n";
  out << fmt::format("{:<24}{:>16}{:>20}{:>8}\n", "part", "per layer", "parameters", "share");
  for (const ParameterCount& row : rows)
    out << fmt::format("{:<24}{:>16}{:>20}{:>7.2f}%\n", row.name,
                       row.per_layer > 0 ? with_commas(row.per_layer) : "", with_commas(row.total),
                       100.0 * static_cast<double>(row.total) / static_cast<double>(rows.back().total));
}

namespace {

template <class W>
Tensor<float, 2> all_logits(const LoadedModel& model, const std::vector<int32_t>& ids) {
  const int64_t n = static_cast<int64_t>(ids.size());
  ref::KvCache<float> cache(model.config(), n);
  Tensor<float, 2> logits(n, model.config().vocab_size);
  ref::transformer_append<float, W>(model.config(), model.weights<W>(),
                                    View<const int32_t, 1>(ids.data(), {n}), cache, logits);
  return logits;
}

}  // namespace

void logits_command(const LogitsOptions& options, std::ostream& messages) {
  const LoadedModel model(options.model);
  const int64_t n = static_cast<int64_t>(options.ids.size());
  if (n < 1 || n > model.config().seq_len)
    throw ValueError("logits", fmt::format("1 to seq_len = {} ids", model.config().seq_len),
                     fmt::to_string(n));
  const Tensor<float, 2> logits =
      model.is_bf16() ? all_logits<bf16>(model, options.ids) : all_logits<float>(model, options.ids);
  write_npy<float, 2>(options.out, logits);
  messages << fmt::format("{}: float32 {}\n", options.out, describe_shape(logits));
}

}  // namespace dsllm
