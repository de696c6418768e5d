// The transformer of ref/ behind the two interfaces of engine.hpp: trained in float; run from a folder in float or bf16.
#pragma once

#include <memory>
#include <string>

#include "ref/core/tensor.hpp"
#include "ref/model/engine.hpp"
#include "ref/model/hugging_face.hpp"
#include "ref/model/transformer.hpp"

namespace dsllm::ref {

class EigenEngine : public TrainEngine {
 public:
  // Allocates everything that training over [batch, seq] tokens at a time needs; see bytes(). Throws ConfigError.
  EigenEngine(const ModelConfig& config, int64_t batch, int64_t seq);

  const ModelConfig& config() const override { return config_; }
  const std::vector<ParameterInfo>& parameters() const override { return layout_; }
  void initialize(uint64_t seed) override;
  double loss(View<const int32_t, 2> tokens, View<const int32_t, 2> targets) override;
  double accumulate_gradients(View<const int32_t, 2> tokens, View<const int32_t, 2> targets,
                              double scale) override;
  void zero_gradients() override { gradients_.zero(); }
  double clip_gradients(double max_norm) override;
  void adamw_step(const AdamwSettings& settings, double lr, int64_t step) override;
  void copy_out(StatePart part, const ParameterInfo& p, View<float, 1> host) const override;
  void copy_in(StatePart part, const ParameterInfo& p, View<const float, 1> host) override;

  // Weights, gradients, both moments and all activations: what a training run needs by a count with pencil and paper.
  int64_t bytes() const;

 private:
  const Tensor<float, 1>& part(StatePart which) const;

  ModelConfig config_;
  std::vector<ParameterInfo> layout_;
  Tensor<float, 1> weights_, gradients_, m_, v_;  // [parameters], all in the order of layout_
  Weights<const float> weight_views_;
  Weights<float> gradient_views_;
  Activations<float> activations_;
};

// A text engine over a model folder, of the type that its weights have. Throws what LoadedModel throws. capacity is the
// number of tokens that the cache holds; 0 means config().seq_len.
std::unique_ptr<TextEngine> open_text_engine(const std::string& folder, int64_t capacity = 0);

}  // namespace dsllm::ref
