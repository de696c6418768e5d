#include "ref/model/eigen_engine.hpp"

#include <algorithm>

#include "ref/core/random.hpp"
#include "ref/train/adamw.hpp"
#include "ref/train/grad_clip.hpp"

namespace dsllm::ref {

EigenEngine::EigenEngine(const ModelConfig& config, int64_t batch, int64_t seq)
    : config_(config),
      layout_(parameter_layout(config)),
      weights_(parameter_count(layout_)),
      gradients_(parameter_count(layout_)),
      m_(parameter_count(layout_)),
      v_(parameter_count(layout_)),
      weight_views_(weights_of<const float>(config, layout_, View<const float, 1>(weights_))),
      gradient_views_(weights_of<float>(config, layout_, View<float, 1>(gradients_))),
      activations_(config, batch, seq) {}

void EigenEngine::initialize(uint64_t seed) {
  // One random stream a tensor: the weights of a tensor do not depend on the shapes of the others.
  for (size_t i = 0; i < layout_.size(); ++i) {
    const ParameterInfo& p = layout_[i];
    const View<float, 1> w = weights_.rows(p.offset, p.size);
    if (p.decays)
      fill_normal(w, 0.0, config_.init_std, seed, i);
    else
      std::fill_n(w.data, w.size(), 1.0f);
  }
  gradients_.zero();
  m_.zero();
  v_.zero();
}

double EigenEngine::loss(View<const int32_t, 2> tokens, View<const int32_t, 2> targets) {
  return transformer_loss<float>(config_, weight_views_, tokens, targets, activations_);
}

double EigenEngine::accumulate_gradients(View<const int32_t, 2> tokens, View<const int32_t, 2> targets,
                                         double scale) {
  return transformer_loss_backward<float>(config_, weight_views_, tokens, targets, scale, activations_,
                                          gradient_views_);
}

double EigenEngine::clip_gradients(double max_norm) {
  return grad_clip<float>(max_norm, gradients_);
}

void EigenEngine::adamw_step(const AdamwSettings& settings, double lr, int64_t step) {
  for (const ParameterInfo& p : layout_)
    ref::adamw_step<float>(settings, lr, step, gradients_.rows(p.offset, p.size),
                           weights_.rows(p.offset, p.size), m_.rows(p.offset, p.size),
                           v_.rows(p.offset, p.size), p.decays ? settings.weight_decay : 0.0);
}

const Tensor<float, 1>& EigenEngine::part(StatePart which) const {
  if (which == StatePart::adam_m) return m_;
  if (which == StatePart::adam_v) return v_;
  return weights_;
}

void EigenEngine::copy_out(StatePart which, const ParameterInfo& p, View<float, 1> host) const {
  check_shape("copy_out", p.name.c_str(), host, {p.size});
  std::copy_n(part(which).data + p.offset, p.size, host.data);
}

void EigenEngine::copy_in(StatePart which, const ParameterInfo& p, View<const float, 1> host) {
  check_shape("copy_in", p.name.c_str(), host, {p.size});
  std::copy_n(host.data, p.size, part(which).data + p.offset);
}

int64_t EigenEngine::bytes() const {
  return 4 * weights_.size() * static_cast<int64_t>(sizeof(float)) + activations_.bytes();
}

namespace {

template <class W>
class EigenTextEngine : public TextEngine {
 public:
  EigenTextEngine(LoadedModel model, int64_t capacity)
      : model_(std::move(model)), weights_(model_.weights<W>()), cache_(model_.config(), capacity) {}

  const ModelConfig& config() const override { return model_.config(); }
  int64_t length() const override { return cache_.length; }
  void reset() override { cache_.length = 0; }
  void append(View<const int32_t, 1> ids, View<float, 1> logits) override {
    transformer_append<float, W>(model_.config(), weights_, ids, cache_, logits.reshape(1, logits.extent[0]));
  }

 private:
  LoadedModel model_;
  Weights<const W> weights_;
  KvCache<float> cache_;
};

}  // namespace

std::unique_ptr<TextEngine> open_text_engine(const std::string& folder, int64_t capacity) {
  LoadedModel model(folder);
  const int64_t tokens = capacity > 0 ? std::min(capacity, model.config().seq_len) : model.config().seq_len;
  if (model.is_bf16()) return std::make_unique<EigenTextEngine<bf16>>(std::move(model), tokens);
  return std::make_unique<EigenTextEngine<float>>(std::move(model), tokens);
}

}  // namespace dsllm::ref
