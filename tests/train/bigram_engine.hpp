// A small model for tests of the trainer, with a true gradient: the next token from this one alone.
//
//     logits = H e[token]        e, H [vocab, d]
#pragma once

#include <cmath>
#include <vector>

#include "ref/core/error.hpp"
#include "ref/core/random.hpp"
#include "ref/core/tensor.hpp"
#include "ref/model/cross_entropy.hpp"
#include "ref/model/engine.hpp"
#include "ref/train/adamw.hpp"
#include "ref/train/grad_clip.hpp"

namespace dsllm::testing {

inline ModelConfig bigram_config(int64_t vocab, int64_t d) {
  ModelConfig c;
  c.n_layers = c.n_heads = c.n_kv_heads = 1;
  c.d_model = c.d_head = d;
  c.d_ff = 8;
  c.vocab_size = vocab;
  c.seq_len = 64;
  c.init_std = 0.1;
  c.validate();
  return c;
}

class BigramEngine : public TrainEngine {
 public:
  explicit BigramEngine(int64_t vocab = 258, int64_t d = 4)
      : config_(bigram_config(vocab, d)),
        parameters_{{"model.embed_tokens.weight", {vocab, d}, 0, vocab * d, true},
                    {"lm_head.weight", {vocab, d}, vocab * d, vocab * d, true}},
        weights_(2 * vocab * d),
        gradients_(2 * vocab * d),
        m_(2 * vocab * d),
        v_(2 * vocab * d) {}

  const ModelConfig& config() const override { return config_; }
  const std::vector<ParameterInfo>& parameters() const override { return parameters_; }

  void initialize(uint64_t seed) override {
    fill_normal<float>(weights_, 0, config_.init_std, seed, 0);
    m_.zero();
    v_.zero();
  }
  double loss(View<const int32_t, 2> tokens, View<const int32_t, 2> targets) override {
    return run(tokens, targets, 0);
  }
  double accumulate_gradients(View<const int32_t, 2> tokens, View<const int32_t, 2> targets,
                              double scale) override {
    return run(tokens, targets, scale);
  }
  void zero_gradients() override { gradients_.zero(); }
  double clip_gradients(double max_norm) override { return ref::grad_clip<float>(max_norm, gradients_); }
  void adamw_step(const AdamwSettings& settings, double lr, int64_t step) override {
    ref::adamw_step<float>(settings, lr, step, gradients_, weights_, m_, v_, settings.weight_decay);
  }
  void copy_out(StatePart part, const ParameterInfo& p, View<float, 1> host) const override {
    const float* from = state(part).data + p.offset;
    std::copy(from, from + p.size, host.data);
  }
  void copy_in(StatePart part, const ParameterInfo& p, View<const float, 1> host) override {
    std::copy(host.data, host.data + p.size, state(part).data + p.offset);
  }

  // Everything that a checkpoint has to bring back.
  std::vector<float> state() const {
    std::vector<float> all;
    for (const auto* t : {&weights_, &m_, &v_}) all.insert(all.end(), t->data, t->data + t->size());
    return all;
  }
  View<float, 1> weights() { return weights_; }

 private:
  View<float, 1> state(StatePart part) const {
    return part == StatePart::weights ? weights_ : part == StatePart::adam_m ? m_ : v_;
  }

  double run(View<const int32_t, 2> tokens, View<const int32_t, 2> targets, double scale) {
    const int64_t vocab = config_.vocab_size, d = config_.d_model;
    std::vector<double> p(static_cast<size_t>(vocab));
    double total = 0;
    for (int64_t i = 0; i < tokens.size(); ++i) {
      const int32_t target = targets.data[i];
      if (target == ref::ignored_target) continue;
      const float* e = weights_.data + tokens.data[i] * d;
      const float* head = weights_.data + vocab * d;
      double sum = 0;
      for (int64_t w = 0; w < vocab; ++w) {
        double logit = 0;
        for (int64_t j = 0; j < d; ++j)
          logit += static_cast<double>(e[j]) * static_cast<double>(head[w * d + j]);
        sum += p[static_cast<size_t>(w)] = std::exp(logit);
      }
      total += std::log(sum / p[static_cast<size_t>(target)]);
      if (scale == 0) continue;
      float* de = gradients_.data + tokens.data[i] * d;
      float* dhead = gradients_.data + vocab * d;
      for (int64_t w = 0; w < vocab; ++w) {
        const double dlogit = scale * (p[static_cast<size_t>(w)] / sum - (w == target ? 1 : 0));
        for (int64_t j = 0; j < d; ++j) {
          de[j] += static_cast<float>(dlogit * static_cast<double>(head[w * d + j]));
          dhead[w * d + j] += static_cast<float>(dlogit * static_cast<double>(e[j]));
        }
      }
    }
    return total;
  }

  ModelConfig config_;
  std::vector<ParameterInfo> parameters_;
  Tensor<float, 1> weights_, gradients_, m_, v_;
};

}  // namespace dsllm::testing
