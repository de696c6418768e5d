// What the trainer and the text generator ask of a model, wherever it computes: the Eigen transformer of ref/ and a
// transformer of kernels implement the same two interfaces.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ref/core/config.hpp"
#include "ref/core/settings.hpp"
#include "ref/core/view.hpp"

namespace dsllm {

// One tensor of a model, under its Hugging Face name.
struct ParameterInfo {
  std::string name;            // "model.layers.0.self_attn.q_proj.weight"
  std::vector<int64_t> shape;  // [d_out, d_in], or [d] for a norm
  int64_t offset = 0;          // of its first element in the flat array of all parameters
  int64_t size = 0;            // elements
  bool decays = false;         // weight decay applies: to matrices, not to the gains of norms
};

// What is kept of each parameter between two steps.
enum class StatePart { weights, adam_m, adam_v };

class TrainEngine {
 public:
  virtual ~TrainEngine() = default;
  virtual const ModelConfig& config() const = 0;
  virtual const std::vector<ParameterInfo>& parameters() const = 0;

  // Draws the weights from N(0, init_std^2), the gains of norms = 1, zeroes Adam's moments.
  virtual void initialize(uint64_t seed) = 0;

  // tokens, targets [batch, seq], of the batch and seq that the engine was made for. Returns the sum of the losses, in
  // nats, over the targets that are not ignored; accumulate_gradients also adds scale * d(sum) / dweights.
  virtual double loss(View<const int32_t, 2> tokens, View<const int32_t, 2> targets) = 0;
  virtual double accumulate_gradients(View<const int32_t, 2> tokens, View<const int32_t, 2> targets,
                                      double scale) = 0;
  virtual void zero_gradients() = 0;

  // Scales all gradients so that their global norm is at most max_norm; returns the norm before.
  virtual double clip_gradients(double max_norm) = 0;
  // step counts from 1 (bias correction).
  virtual void adamw_step(const AdamwSettings& settings, double lr, int64_t step) = 0;

  // One tensor of the state, to and from the host. Throw ShapeError unless host has p.size elements.
  virtual void copy_out(StatePart part, const ParameterInfo& p, View<float, 1> host) const = 0;
  virtual void copy_in(StatePart part, const ParameterInfo& p, View<const float, 1> host) = 0;
};

// A model with a KV cache that continues one text.
class TextEngine {
 public:
  virtual ~TextEngine() = default;
  virtual const ModelConfig& config() const = 0;
  virtual int64_t length() const = 0;  // tokens in the cache
  virtual void reset() = 0;            // forgets them
  // Appends ids [n], n >= 1, and writes the logits of the token after the last one, [vocab_size]. Throws ValueError,
  // with both numbers, for an id outside the vocabulary or more than config().seq_len tokens in all.
  virtual void append(View<const int32_t, 1> ids, View<float, 1> logits) = 0;
};

}  // namespace dsllm
