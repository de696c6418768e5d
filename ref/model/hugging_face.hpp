// A model as a folder in the form that Hugging Face uses for Llama-type models: config.json, model.safetensors (or
// shards with model.safetensors.index.json) and, where text is involved, tokenizer.json.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ref/core/config.hpp"
#include "ref/core/dtype.hpp"
#include "ref/core/safetensors.hpp"
#include "ref/core/tensor.hpp"
#include "ref/model/parameters.hpp"

namespace dsllm {

// What config.json says beyond the shape.
struct HuggingFaceConfig {
  ModelConfig model;
  bool tied = false;  // the head is the embedding; the paper's models are untied
};

// Reads the fields of a Llama-type config.json. What would change the arithmetic and is not supported (another
// activation, biases, scaled RoPE, a sliding window, another model_type) is an error; other fields are ignored.
// Throws FileError, ConfigError.
HuggingFaceConfig config_from_hugging_face(const Json& json, const std::string& path);
Json config_to_hugging_face(const ModelConfig& config, DType dtype);

// The weights of a folder. Tensors that the file holds as F32, or all as BF16, stay where the file lies in memory
// (mapped, so that opening 13 GB costs nothing); F16 and F64 become float, exactly or rounded.
class LoadedModel {
 public:
  // Throws FileError for a missing, unknown or misshapen tensor, naming it.
  explicit LoadedModel(const std::string& folder);

  const ModelConfig& config() const { return config_.model; }
  bool is_bf16() const { return is_bf16_; }
  // W is float, or bf16 if is_bf16(). Valid as long as this object.
  template <class W>
  Weights<const W> weights() const;

 private:
  HuggingFaceConfig config_;
  std::vector<ParameterInfo> layout_;
  std::unique_ptr<SafetensorsModel> files_;
  std::vector<const void*> tensors_;      // where each tensor of layout_ lies
  std::vector<Tensor<float, 1>> floats_;  // those that had to be converted
  std::vector<Tensor<bf16, 1>> halves_;   // those that the file does not align
  bool is_bf16_ = false;
};

// Writes config.json and model.safetensors with the weights as `dtype` (f32 or bf16), creating the folder if need be.
// read(p, host) gives the elements of parameter p. Throws FileError.
void save_hugging_face(const std::string& folder, const ModelConfig& config, DType dtype,
                       const std::function<void(const ParameterInfo&, View<float, 1>)>& read);

}  // namespace dsllm
