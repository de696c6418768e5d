#include "ref/model/transformer.hpp"

#include "ref/core/parallel.hpp"
#include "tests/model/support.hpp"
#include "tests/model/tiny.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using namespace dsllm::tests;

TEST_CASE("transformer: golden logits, loss and gradients of a Llama-type model of another program") {
  const SafetensorsFile expected(DSLLM_SOURCE_DIR "/tests/golden/model/tiny_expected.safetensors");
  const Model<double> model = golden_model<double>();
  const auto tokens = expected.copy<int32_t, 2>("tokens"), targets = expected.copy<int32_t, 2>("targets");

  Activations<double> activations(model.config, 2, 9);
  Tensor<double, 1> gradients(model.flat.size());
  const double loss = transformer_loss_backward<double>(model.config, model.weights(), tokens, targets, 1,
                                                        activations, model.views(gradients));
  const double expected_loss = expected.copy<double, 1>("loss")(0);
  // Two layers of sums of at most 67 terms: some hundred roundings of numbers up to 100.
  CHECK(std::abs(loss - expected_loss) <= 1e-11);
  CHECK(std::abs(transformer_loss<double>(model.config, model.weights(), tokens, targets, activations) -
                 expected_loss) <= 1e-11);
  for (const ParameterInfo& p : model.layout) {
    std::vector<double> truth(static_cast<size_t>(p.size));
    expected.read_as("gradient." + p.name, std::span<double>(truth));
    Verdict v;
    compare(p.name, {gradients.data + p.offset, truth.size()}, truth,
            std::vector<double>(truth.size(), 1e-11), v);
    CHECK_MESSAGE(v.pass, v.reason);
  }
  const auto logits = expected.copy<double, 3>("logits");
  for (int64_t b = 0; b < 2; ++b) {
    KvCache<double> cache(model.config, 9);
    Tensor<double, 2> got(9, model.config.vocab_size);
    transformer_append<double, double>(model.config, model.weights(), tokens.row(b), cache, got);
    CHECK(distance(got, logits.row(b)) <= 1e-11);
  }
}

TEST_CASE("transformer: parameters have the names, shapes and number of the other program's file") {
  const SafetensorsFile file(DSLLM_SOURCE_DIR "/tests/golden/model/tiny/model.safetensors");
  const Model<double> model = golden_model<double>();
  CHECK(file.tensors().size() == model.layout.size());
  for (const ParameterInfo& p : model.layout) CHECK(file.info(p.name).shape == p.shape);
  CHECK(parameter_count(model.layout) == count_parameters(model.config).back().total);
}

TEST_CASE("transformer: gradients of all parameters agree with 4-point differences") {
  Model<double> model = golden_model<double>();
  const Batch batch(model.config, 2, 5);
  Activations<double> activations(model.config, 2, 5);
  Tensor<double, 1> gradients(model.flat.size());
  const double scale = 0.25;
  const auto f = [&] {
    return scale *
           transformer_loss<double>(model.config, model.weights(), batch.tokens, batch.targets, activations);
  };
  transformer_loss_backward<double>(model.config, model.weights(), batch.tokens, batch.targets, scale,
                                    activations, model.views(gradients));
  for (const ParameterInfo& p : model.layout) {
    const View<double, 1> x(model.flat.data + p.offset, {p.size}), g(gradients.data + p.offset, {p.size});
    const Verdict v = check_gradient(f, x, g, f(), 6);
    CHECK_MESSAGE(v.pass, p.name << ": " << v.reason);
  }
}

TEST_CASE("transformer: a block's gradients, of its input too, agree with 4-point differences") {
  Model<double> model = golden_model<double>();
  const ModelConfig& c = model.config;
  const int64_t batch = 2, seq = 4;
  Activations<double> activations(c, batch, seq);
  BlockActivations<double>& saved = activations.blocks[0];
  const Tensor<double, 2> x = random<double>(1, 1, batch * seq, c.d_model),
                          dy = random<double>(2, 1, batch * seq, c.d_model);
  std::memcpy(saved.x.data, x.data, static_cast<size_t>(x.size()) * sizeof(double));
  Tensor<double, 2> y(batch * seq, c.d_model), dx = dy.clone();
  Tensor<double, 1> gradients(model.flat.size());
  const auto f = [&] {
    block_forward<double>(c, model.weights().blocks[0], activations.cos, activations.sin, saved, y);
    return dot(dy, y);
  };
  f();
  const double gauge = absolute_dot(dy, y);
  block_backward<double>(c, model.weights().blocks[0], activations.cos, activations.sin, saved, activations,
                         dx, model.views(gradients).blocks[0]);
  Verdict v = check_gradient(f, saved.x.flat(), dx.flat(), gauge, 20);
  CHECK_MESSAGE(v.pass, v.reason);
  for (const ParameterInfo& p : model.layout) {
    if (!p.name.starts_with("model.layers.0.")) continue;
    v = check_gradient(f, View<double, 1>(model.flat.data + p.offset, {p.size}),
                       View<double, 1>(gradients.data + p.offset, {p.size}), gauge, 5);
    CHECK_MESSAGE(v.pass, p.name << ": " << v.reason);
  }
}

TEST_CASE("transformer: a text appended in any pieces gives the logits of the whole, and those of training") {
  const Model<double> model = golden_model<double>();
  const ModelConfig& c = model.config;
  const int64_t n = 11;
  const Batch batch(c, 1, n);
  const View<const int32_t, 1> ids = batch.tokens.row(0);
  Tensor<double, 2> whole(n, c.vocab_size);
  KvCache<double> all(c, n);
  transformer_append<double, double>(c, model.weights(), ids, all, whole);
  CHECK(all.length == n);

  // The loss of training comes from the same logits.
  Activations<double> activations(c, 1, n);
  const double loss = transformer_loss<double>(c, model.weights(), batch.tokens, batch.targets, activations);
  CHECK(distance(whole, activations.logits) <= 1e-11);
  CHECK(std::isfinite(loss));

  const std::vector<std::vector<int64_t>> splits = {
      {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {10, 1}, {1, 10}, {4, 1, 1, 5}, {6, 5}};
  for (const auto& pieces : splits) {
    KvCache<double> cache(c, n + 3);
    Tensor<double, 2> logits(n, c.vocab_size);
    int64_t at = 0;
    for (const int64_t piece : pieces) {
      transformer_append<double, double>(c, model.weights(), ids.rows(at, piece), cache,
                                         logits.rows(at, piece));
      at += piece;
    }
    CHECK(distance(whole, logits) <= 1e-11);
    CHECK(distance(all.k.row(1).rows(0, n), cache.k.row(1).rows(0, n)) <= 1e-11);
  }
  // Only the logits that are asked for: the last three.
  KvCache<double> cache(c, n);
  Tensor<double, 2> last(3, c.vocab_size);
  transformer_append<double, double>(c, model.weights(), ids, cache, last);
  CHECK(distance(whole.rows(n - 3, 3), View<double, 2>(last)) <= 1e-11);
}

TEST_CASE("transformer: float follows double, and bf16 weights are their float values") {
  const Model<double> truth = golden_model<double>();
  const ModelConfig& c = truth.config;
  const Batch batch(c, 1, 9);
  const auto logits_of = [&]<class T, class W>(const Weights<const W>& weights, T) {
    KvCache<T> cache(c, 9);
    Tensor<T, 2> logits(9, c.vocab_size);
    transformer_append<T, W>(c, weights, batch.tokens.row(0), cache, logits);
    return logits;
  };
  const auto exact = logits_of.template operator()<double, double>(truth.weights(), 0.0);
  const Model<float> single = golden_model<float>();
  // Logits of order 5, through some ten layers of sums in float: a few hundred roundings of 6e-8.
  CHECK(distance(exact, logits_of.template operator()<float, float>(single.weights(), 0.0f)) <= 1e-4);

  Model<bf16> half(c);
  Model<float> rounded(c);
  for (int64_t i = 0; i < half.flat.size(); ++i) {
    half.flat(i) = bf16(single.flat(i));
    rounded.flat(i) = half.flat(i);
  }
  CHECK(distance(logits_of.template operator()<float, bf16>(half.weights(), 0.0f),
                 logits_of.template operator()<float, float>(rounded.weights(), 0.0f)) <= 1e-4);
}

TEST_CASE("transformer: loss, gradients and logits do not depend on the number of threads, bit for bit") {
  ModelConfig c = model_preset("tiny");
  c.seq_len = 300;
  const Model<float> model(c, 1);
  const Batch batch(c, 2, 290);  // 580 tokens: more than one piece of the head
  Activations<float> activations(c, 2, 290);
  const auto run = [&](int n) {
    set_threads(n);
    Tensor<float, 1> gradients(model.flat.size());
    const double loss = transformer_loss_backward<float>(c, model.weights(), batch.tokens, batch.targets,
                                                         0.01, activations, model.views(gradients));
    KvCache<float> cache(c, 300);
    Tensor<float, 2> logits(2, c.vocab_size);
    transformer_append<float, float>(c, model.weights(), batch.tokens.row(0), cache, logits);
    set_threads(0);
    return std::tuple(loss, std::move(gradients), std::move(logits));
  };
  const auto [loss, gradients, logits] = run(1);
  for (const int n : {2, 5}) {
    const auto [loss_n, gradients_n, logits_n] = run(n);
    CHECK(loss == loss_n);
    CHECK(same_bits(gradients, gradients_n));
    CHECK(same_bits(logits, logits_n));
  }
}

TEST_CASE("transformer: more tokens than the head takes at a time cost what their parts cost") {
  ModelConfig c = model_preset("tiny");
  c.seq_len = 300;
  const Model<double> model(c, 1);
  const Batch batch(c, 2, 290);  // 580 tokens, in pieces of 512; one row of 290 fits into one
  Activations<double> both(c, 2, 290), one(c, 1, 290);
  Tensor<double, 1> whole(model.flat.size()), parts(model.flat.size());
  const double loss = transformer_loss_backward<double>(c, model.weights(), batch.tokens, batch.targets, 1,
                                                        both, model.views(whole));
  CHECK(transformer_loss<double>(c, model.weights(), batch.tokens, batch.targets, both) == loss);
  double sum = 0;
  for (int64_t b = 0; b < 2; ++b)
    sum += transformer_loss_backward<double>(c, model.weights(), batch.tokens.rows(b, 1),
                                             batch.targets.rows(b, 1), 1, one, model.views(parts));
  // 578 losses of 6 nats, and gradients that are sums of as many terms of order 1.
  CHECK(std::abs(loss - sum) <= 1e-10);
  CHECK(distance(whole, parts) <= 1e-10);
}

TEST_CASE("transformer: at initialization every class is about as likely as any other") {
  ModelConfig c = model_preset("tiny");
  const Model<float> model(c, 1);
  const Batch batch(c, 2, 64);
  Activations<float> activations(c, 2, 64);
  const double loss = transformer_loss<float>(c, model.weights(), batch.tokens, batch.targets, activations);
  // Logits of a head with std 0.006 over 64 normed activations have std 0.05, which moves a loss of 6.24 by 0.005 in the
  // mean over 128 tokens at three sigma.
  CHECK(loss / batch.counted == doctest::Approx(std::log(512)).epsilon(0.02 / 6.24));
}

TEST_CASE("transformer: gradients add up over calls, in proportion to scale; ignored targets add nothing") {
  const Model<double> model = golden_model<double>();
  const ModelConfig& c = model.config;
  Batch batch(c, 2, 6);
  Activations<double> activations(c, 2, 6), one_row(c, 1, 6);
  Tensor<double, 1> once(model.flat.size()), twice(model.flat.size()), by_row(model.flat.size());
  const auto add = [&](double scale, Tensor<double, 1>& gradients) {
    return transformer_loss_backward<double>(c, model.weights(), batch.tokens, batch.targets, scale,
                                             activations, model.views(gradients));
  };
  const double loss = add(1, once);
  add(0.75, twice);
  add(0.25, twice);
  CHECK(distance(once, twice) <= 1e-12);
  double sum = 0;
  for (int64_t b = 0; b < 2; ++b)
    sum += transformer_loss_backward<double>(c, model.weights(), batch.tokens.rows(b, 1),
                                             batch.targets.rows(b, 1), 1, one_row, model.views(by_row));
  CHECK(loss == doctest::Approx(sum).epsilon(1e-13));
  CHECK(distance(once, by_row) <= 1e-11);

  for (int64_t i = 0; i < batch.targets.size(); ++i) batch.targets.data[i] = -1;
  Tensor<double, 1> nothing(model.flat.size());
  CHECK(add(1, nothing) == 0);
  for (int64_t i = 0; i < nothing.size(); ++i) REQUIRE(nothing(i) == 0);
}

TEST_CASE(
    "transformer: ids outside of the vocabulary and texts that are too long are refused with both numbers") {
  const Model<float> model = golden_model<float>();
  const ModelConfig& c = model.config;
  Batch batch(c, 1, 6);
  Activations<float> activations(c, 1, 6);
  KvCache<float> cache(c, 8);
  Tensor<float, 2> logits(1, c.vocab_size), two(2, c.vocab_size), narrow(1, 5);
  const auto append = [&](View<const int32_t, 1> ids, View<float, 2> out) {
    return message_of([&] { transformer_append<float, float>(c, model.weights(), ids, cache, out); });
  };
  CHECK(append(batch.tokens.row(0), logits) == "nothing was thrown");
  CHECK(append(batch.tokens.row(0), logits) ==
        "transformer_append: expected a text of at most 8 tokens, got 12");
  CHECK(cache.length == 6);
  CHECK(append(batch.tokens.row(0).rows(0, 1), two) ==
        "transformer_append: expected at least one id, and logits of at most 1 positions, got 1 ids and 2 "
        "positions");
  CHECK(append(batch.tokens.row(0).rows(0, 1), narrow) ==
        "transformer_append: expected logits [1, 67], got [1, 5]");
  batch.tokens(0, 1) = 67;
  CHECK(append(batch.tokens.row(0).rows(0, 2), logits) ==
        "embedding_forward: expected ids below the vocabulary of 67, got id 67 at position 1");
  CHECK(cache.length == 6);
  CHECK(message_of([&] {
          transformer_loss<float>(c, model.weights(), batch.tokens, batch.targets, activations);
        }) == "embedding_forward: expected ids below the vocabulary of 67, got id 67 at position 1");
  batch.tokens(0, 1) = 0;
  batch.targets(0, 2) = 67;
  CHECK(message_of(
            [&] { transformer_loss<float>(c, model.weights(), batch.tokens, batch.targets, activations); }) ==
        "cross_entropy_forward: expected targets below the vocabulary of 67, got target 67 at position 2");
  CHECK(message_of([&] { Activations<float>(c, 1, 33); }) ==
        "Activations: expected sequences of at most seq_len = 32 tokens, got 33");
  Tensor<int32_t, 2> other(1, 5);
  CHECK(message_of([&] { transformer_loss<float>(c, model.weights(), other, other, activations); }) ==
        "transformer_loss: expected tokens [1, 6], got [1, 5]");
}
