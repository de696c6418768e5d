#include "ref/model/hugging_face.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <filesystem>
#include <functional>

#include "ref/core/error.hpp"
#include "ref/core/fields_json.hpp"
#include "ref/core/file.hpp"
#include "ref/core/safetensors_writer.hpp"

namespace dsllm {
namespace {

constexpr const char* embedding_name = "model.embed_tokens.weight";
constexpr const char* head_name = "lm_head.weight";

// Throws unless the field is absent, null, or one of the accepted values.
void require(const Json& json, const std::string& path, const char* field,
             const std::vector<Json>& accepted) {
  const auto it = json.find(field);
  if (it == json.end() || it->is_null()) return;
  if (std::find(accepted.begin(), accepted.end(), *it) != accepted.end()) return;
  std::string list;
  for (const Json& value : accepted) list += (list.empty() ? "" : " or ") + value.dump();
  throw FileError(path, fmt::format("field '{}'", field), list.empty() ? "null" : list,
                  it->dump().substr(0, 60));
}

// Old configs say rope_theta; newer ones rope_parameters {"rope_theta", "rope_type"}. Anything else in there scales the
// angles in a way that is not supported.
Json with_plain_rope_theta(Json json, const std::string& path) {
  const auto it = json.find("rope_parameters");
  if (it == json.end() || it->is_null()) return json;
  if (!it->is_object())
    throw FileError(path, "field 'rope_parameters'", "an object", it->dump().substr(0, 60));
  for (const auto& [key, value] : it->items())
    if (key != "rope_theta" && key != "rope_type" && key != "type")
      throw FileError(path, fmt::format("field 'rope_parameters.{}'", key), "rope_theta and rope_type alone",
                      value.dump().substr(0, 60));
  require(*it, path, "rope_type", {"default"});
  require(*it, path, "type", {"default"});
  if (it->contains("rope_theta")) {
    const Json theta = (*it)["rope_theta"];
    require(json, path, "rope_theta", {theta});  // two that differ are a contradiction
    json["rope_theta"] = theta;
  }
  return json;
}

// The tensors that old checkpoints carry beside the weights: RoPE's frequencies, which follow from the config.
bool is_known_extra(const std::string& name) {
  return name.ends_with(".rotary_emb.inv_freq");
}

}  // namespace

HuggingFaceConfig config_from_hugging_face(const Json& raw, const std::string& path) {
  if (!raw.is_object()) throw FileError(path, "", "a JSON object", raw.dump().substr(0, 60));
  const Json json = with_plain_rope_theta(raw, path);
  if (!json.contains("model_type") || json["model_type"].is_null())
    throw FileError(path, "field 'model_type'", "\"llama\"", "nothing");
  require(json, path, "model_type", {"llama"});
  require(json, path, "partial_rotary_factor", {1.0, 1});
  require(json, path, "hidden_act", {"silu", "swish"});
  require(json, path, "attention_bias", {false});
  require(json, path, "mlp_bias", {false});
  require(json, path, "rope_scaling", {});
  require(json, path, "sliding_window", {});
  require(json, path, "quantization_config", {});

  HuggingFaceConfig config;
  ModelConfig& c = config.model;
  const auto read = [&](const char* name, const char* meaning, auto& value, bool needed) {
    const auto it = json.find(name);
    const bool absent = it == json.end() || it->is_null();
    if (absent && needed) throw FileError(path, fmt::format("field '{}'", name), meaning, "nothing");
    if (!absent) detail::read_field(*it, Field{name, meaning}, value, path);
    return !absent;
  };
  read("num_hidden_layers", "number of blocks", c.n_layers, true);
  read("hidden_size", "width of the residual stream", c.d_model, true);
  read("num_attention_heads", "query heads", c.n_heads, true);
  read("intermediate_size", "width of the feed-forward layer", c.d_ff, true);
  read("vocab_size", "rows of the embedding", c.vocab_size, true);
  read("max_position_embeddings", "longest sequence", c.seq_len, true);
  read("rms_norm_eps", "epsilon of RMSNorm", c.rms_eps, true);
  c.n_kv_heads = c.n_heads;
  read("num_key_value_heads", "key and value heads", c.n_kv_heads, false);
  if (!read("head_dim", "width of a head", c.d_head, false))
    c.d_head = c.n_heads > 0 ? c.d_model / c.n_heads : 0;
  read("rope_theta", "base of the rotary angles", c.rope_theta, false);
  read("initializer_range", "standard deviation of the initial weights", c.init_std, false);
  read("tie_word_embeddings", "whether the head is the embedding", config.tied, false);
  try {
    c.validate();
  } catch (const ConfigError& e) {
    throw FileError(path, "", "a valid model", e.what());
  }
  return config;
}

Json config_to_hugging_face(const ModelConfig& c, DType dtype) {
  return Json{{"architectures", {"LlamaForCausalLM"}},
              {"model_type", "llama"},
              {"hidden_size", c.d_model},
              {"intermediate_size", c.d_ff},
              {"num_hidden_layers", c.n_layers},
              {"num_attention_heads", c.n_heads},
              {"num_key_value_heads", c.n_kv_heads},
              {"head_dim", c.d_head},
              {"vocab_size", c.vocab_size},
              {"max_position_embeddings", c.seq_len},
              {"rms_norm_eps", c.rms_eps},
              {"rope_theta", c.rope_theta},
              {"rope_scaling", nullptr},
              {"hidden_act", "silu"},
              {"attention_bias", false},
              {"mlp_bias", false},
              {"tie_word_embeddings", false},
              {"initializer_range", c.init_std},
              {"torch_dtype", dtype == DType::bf16 ? "bfloat16" : "float32"}};
}

LoadedModel::LoadedModel(const std::string& folder) {
  const std::string config_path = folder + "/config.json";
  config_ = config_from_hugging_face(read_json(config_path), config_path);
  layout_ = parameter_layout(config_.model);
  files_ = std::make_unique<SafetensorsModel>(folder);
  const bool tied = config_.tied && !files_->contains(head_name);
  const auto source = [&](const ParameterInfo& p) {
    return tied && p.name == head_name ? embedding_name : p.name;
  };

  is_bf16_ = true;
  for (const ParameterInfo& p : layout_) {
    const TensorInfo& t = files_->info(source(p));
    if (t.shape != p.shape)
      throw FileError(
          files_->path(), fmt::format("tensor '{}'", t.name),
          describe_shape(p.shape.data(), static_cast<int>(p.shape.size())) + " as config.json says",
          describe_shape(t.shape.data(), static_cast<int>(t.shape.size())));
    is_bf16_ = is_bf16_ && t.dtype == DType::bf16;
  }
  for (const TensorInfo& t : files_->tensors()) {
    const bool known =
        std::any_of(layout_.begin(), layout_.end(), [&](const auto& p) { return p.name == t.name; });
    if (!known && !is_known_extra(t.name))
      throw FileError(files_->path(), fmt::format("tensor '{}'", t.name),
                      "a tensor of a Llama-type model of " + fmt::format("{} blocks", config_.model.n_layers),
                      "one that it does not have");
  }
  for (const ParameterInfo& p : layout_) {
    const TensorInfo& t = files_->info(source(p));
    const auto address = reinterpret_cast<uintptr_t>(t.bytes.data());
    if (is_bf16_ && address % alignof(bf16) == 0) {
      tensors_.push_back(t.bytes.data());
    } else if (is_bf16_) {
      Tensor<bf16, 1>& copy = halves_.emplace_back(p.size);
      std::memcpy(static_cast<void*>(copy.data), t.bytes.data(), t.bytes.size());
      tensors_.push_back(copy.data);
    } else if (t.dtype == DType::f32 && address % alignof(float) == 0) {
      tensors_.push_back(t.bytes.data());
    } else {
      Tensor<float, 1>& converted = floats_.emplace_back(p.size);
      files_->read_as(t.name, std::span<float>(converted.data, static_cast<size_t>(p.size)));
      tensors_.push_back(converted.data);
    }
  }
}

template <class W>
Weights<const W> LoadedModel::weights() const {
  assert((std::is_same_v<W, bf16> == is_bf16_));
  return weights_of<const W>(config_.model, layout_, [&](const ParameterInfo& p) {
    return static_cast<const W*>(tensors_[static_cast<size_t>(&p - layout_.data())]);
  });
}
template Weights<const float> LoadedModel::weights<float>() const;
template Weights<const bf16> LoadedModel::weights<bf16>() const;

void save_hugging_face(const std::string& folder, const ModelConfig& config, DType dtype,
                       const std::function<void(const ParameterInfo&, View<float, 1>)>& read) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw FileError(folder, "", "a folder that can be made", error.message());
  const std::vector<ParameterInfo> layout = parameter_layout(config);
  std::vector<TensorSpec> tensors;
  for (const ParameterInfo& p : layout) tensors.push_back({p.name, dtype, p.shape});
  SafetensorsWriter file(folder + "/model.safetensors", tensors, {{"format", "pt"}});
  for (const ParameterInfo& p : layout) {
    Tensor<float, 1> host(p.size);
    read(p, host);
    if (dtype == DType::f32) {
      file.write(p.name, host);
      continue;
    }
    Tensor<bf16, 1> rounded(p.size);
    for (int64_t i = 0; i < p.size; ++i) rounded(i) = bf16(host(i));
    file.write(p.name, rounded);
  }
  file.commit();
  write_file_atomically(folder + "/config.json", config_to_hugging_face(config, dtype).dump(2) + "\n");
}

}  // namespace dsllm
