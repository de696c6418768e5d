#include "ref/model/eigen_engine.hpp"

#include <algorithm>

#include "ref/core/parallel.hpp"
#include "tests/model/support.hpp"
#include "tests/model/tiny.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using namespace dsllm::tests;

static Tensor<float, 1> copy_of(const EigenEngine& engine, StatePart part, const ParameterInfo& p) {
  Tensor<float, 1> host(p.size);
  engine.copy_out(part, p, host);
  return host;
}

TEST_CASE("engine: weights begin as N(0, init_std^2) and 1, moments as 0, by the seed alone") {
  const ModelConfig c = model_preset("tiny");
  EigenEngine a(c, 1, 8), b(c, 2, 4);
  set_threads(1);
  a.initialize(7);
  set_threads(5);
  b.initialize(7);
  set_threads(0);
  for (const ParameterInfo& p : a.parameters()) {
    const Tensor<float, 1> w = copy_of(a, StatePart::weights, p);
    CHECK(same_bits(w, copy_of(b, StatePart::weights, p)));
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < w.size(); ++i) {
      sum += w(i);
      squares += double{w(i)} * w(i);
    }
    const double n = static_cast<double>(p.size), mean = sum / n, std = std::sqrt(squares / n - mean * mean);
    if (!p.decays) {
      CHECK(mean == 1);
      CHECK(squares == n);
      continue;
    }
    // Four standard deviations of the mean and of the standard deviation of n normal numbers.
    CHECK(std::abs(mean) <= 4 * c.init_std / std::sqrt(n));
    CHECK(std::abs(std / c.init_std - 1) <= 4 / std::sqrt(2 * n));
    for (const StatePart moment : {StatePart::adam_m, StatePart::adam_v}) {
      const Tensor<float, 1> m = copy_of(a, moment, p);
      for (int64_t i = 0; i < m.size(); ++i) REQUIRE(m(i) == 0);
    }
  }
  b.initialize(8);
  CHECK_FALSE(same_bits(copy_of(a, StatePart::weights, a.parameters()[0]),
                        copy_of(b, StatePart::weights, a.parameters()[0])));
}

TEST_CASE("engine: loss and gradients are the transformer's, and training steps make the loss fall") {
  const Model<float> model = golden_model<float>();
  const Batch batch(model.config, 2, 9);
  EigenEngine engine(model.config, 2, 9);
  for (const ParameterInfo& p : model.layout)
    engine.copy_in(StatePart::weights, p, View<const float, 1>(model.flat.data + p.offset, {p.size}));
  Activations<float> activations(model.config, 2, 9);
  const double loss =
      transformer_loss<float>(model.config, model.weights(), batch.tokens, batch.targets, activations);
  CHECK(engine.loss(batch.tokens, batch.targets) == loss);

  // The gradient shows in the first moment: m = (1 - beta1) g after one step from zero.
  Tensor<float, 1> gradients(model.flat.size());
  transformer_loss_backward<float>(model.config, model.weights(), batch.tokens, batch.targets, 0.5,
                                   activations, model.views(gradients));
  double squares = 0;
  for (int64_t i = 0; i < gradients.size(); ++i) squares += double{gradients(i)} * gradients(i);
  CHECK(engine.accumulate_gradients(batch.tokens, batch.targets, 0.5) == loss);
  CHECK(engine.clip_gradients(1e9) == doctest::Approx(std::sqrt(squares)).epsilon(1e-6));
  const AdamwSettings settings;
  engine.adamw_step(settings, 1e-3, 1);
  for (const ParameterInfo& p : model.layout) {
    const Tensor<float, 1> m = copy_of(engine, StatePart::adam_m, p);
    for (int64_t i = 0; i < p.size; ++i)  // two roundings
      CHECK(std::abs(m(i) - 0.1f * gradients(p.offset + i)) <= 3e-8f * std::abs(gradients(p.offset + i)));
  }
  CHECK(engine.loss(batch.tokens, batch.targets) < loss);

  double last = loss;
  for (int64_t step = 2; step <= 20; ++step) {
    engine.zero_gradients();
    last = engine.accumulate_gradients(batch.tokens, batch.targets, 1 / batch.counted);
    engine.clip_gradients(1);
    engine.adamw_step(settings, 1e-2, step);
  }
  CHECK(last < 0.5 * loss);  // it learns fifteen tokens by heart
}

TEST_CASE("engine: weight decay shrinks matrices and leaves the gains of norms") {
  const ModelConfig c = model_preset("tiny");
  EigenEngine engine(c, 1, 4);
  engine.initialize(1);
  std::vector<Tensor<float, 1>> before;
  for (const ParameterInfo& p : engine.parameters()) before.push_back(copy_of(engine, StatePart::weights, p));
  AdamwSettings settings;
  settings.weight_decay = 0.5;
  engine.adamw_step(settings, 0.1, 1);  // gradients are zero: only the decay moves anything
  for (size_t i = 0; i < before.size(); ++i) {
    const ParameterInfo& p = engine.parameters()[i];
    const Tensor<float, 1> after = copy_of(engine, StatePart::weights, p);
    const float factor = p.shape.size() == 2 ? 0.95f : 1.0f;
    for (int64_t j = 0; j < p.size; ++j)  // three roundings
      REQUIRE(std::abs(after(j) - factor * before[i](j)) <= 2e-7f * std::abs(before[i](j)));
  }
}

TEST_CASE("engine: its bytes are weights, gradients and moments, and the activations") {
  const ModelConfig c = model_preset("tiny");
  const int64_t parameters = count_parameters(c).back().total;
  const Activations<float> activations(c, 2, 16);
  CHECK(EigenEngine(c, 2, 16).bytes() == 4 * 4 * parameters + activations.bytes());
}

TEST_CASE("engine: an array of another size is refused with its name") {
  const ModelConfig c = model_preset("tiny");
  EigenEngine engine(c, 1, 4);
  Tensor<float, 1> wrong(5);
  const ParameterInfo& p = engine.parameters()[1];
  CHECK(message_of([&] { engine.copy_out(StatePart::weights, p, wrong); }) ==
        "copy_out: expected model.layers.0.input_layernorm.weight [64], got [5]");
  CHECK_THROWS_AS(engine.copy_in(StatePart::adam_v, p, wrong), ShapeError);
}

TEST_CASE("engine: weights and both moments are copied in and out, each to its own place") {
  EigenEngine engine(model_preset("tiny"), 1, 4);
  const StatePart parts[] = {StatePart::weights, StatePart::adam_m, StatePart::adam_v};
  const auto value = [](int part, size_t tensor) {
    return static_cast<float>(100 * part + 1) + static_cast<float>(tensor);
  };
  for (int part = 0; part < 3; ++part)
    for (size_t i = 0; i < engine.parameters().size(); ++i) {
      const ParameterInfo& p = engine.parameters()[i];
      Tensor<float, 1> host(p.size);
      std::fill_n(host.data, p.size, value(part, i));
      engine.copy_in(parts[part], p, host);
    }
  for (int part = 0; part < 3; ++part)
    for (size_t i = 0; i < engine.parameters().size(); ++i) {
      const ParameterInfo& p = engine.parameters()[i];
      Tensor<float, 1> host(p.size);
      engine.copy_out(parts[part], p, host);
      for (int64_t j = 0; j < p.size; ++j) REQUIRE(host(j) == value(part, i));
    }
}
