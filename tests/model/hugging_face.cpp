#include "ref/model/hugging_face.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "ref/core/safetensors_writer.hpp"
#include "ref/model/eigen_engine.hpp"
#include "tests/temporary_folder.hpp"

using namespace dsllm;
using namespace dsllm::ref;

namespace {

const std::string golden = DSLLM_SOURCE_DIR "/tests/golden/model/tiny";

// The logits after ids 1, 2, 3 of a folder's model.
Tensor<float, 1> logits_of(const std::string& folder) {
  const std::unique_ptr<TextEngine> engine = open_text_engine(folder);
  Tensor<float, 1> logits(engine->config().vocab_size);
  const int32_t ids[] = {1, 2, 3};
  engine->append(View<const int32_t, 1>(ids, {3}), logits);
  return logits;
}

double largest_difference(View<const float, 1> a, View<const float, 1> b) {
  double largest = 0;
  for (int64_t i = 0; i < a.size(); ++i) largest = std::fmax(largest, std::abs(double(a(i)) - double(b(i))));
  return largest;
}

// The golden folder's tensors, changed by edit(), written as `dtype` in shards of max_shard bytes.
void rewrite(const std::string& folder, DType dtype, int64_t max_shard,
             const std::function<void(std::vector<TensorSpec>&)>& edit = {}) {
  const SafetensorsFile source(golden + "/model.safetensors");
  std::vector<TensorSpec> specs;
  for (const TensorInfo& t : source.tensors()) specs.push_back({t.name, dtype, t.shape});
  if (edit) edit(specs);
  SafetensorsModelWriter out(folder, specs, max_shard);
  for (const TensorSpec& spec : specs) {
    int64_t n = 1;
    for (const int64_t extent : spec.shape) n *= extent;
    std::vector<float> values(static_cast<size_t>(n));
    if (source.contains(spec.name) && source.info(spec.name).shape == spec.shape)
      source.read_as(spec.name, std::span<float>(values));
    if (spec.dtype == DType::f32) out.write(spec.name, View<const float, 1>(values.data(), {n}));
    if (spec.dtype == DType::bf16) {
      Tensor<bf16, 1> x(n);
      for (int64_t i = 0; i < n; ++i) x(i) = bf16(values[static_cast<size_t>(i)]);
      out.write(spec.name, x);
    }
    if (spec.dtype == DType::f16) {
      Tensor<f16, 1> x(n);
      for (int64_t i = 0; i < n; ++i) x(i) = float_to_f16(values[static_cast<size_t>(i)]);
      out.write(spec.name, x);
    }
  }
  out.commit();
  std::filesystem::copy(golden + "/config.json", folder + "/config.json",
                        std::filesystem::copy_options::overwrite_existing);
}

void check_error(const std::function<void()>& f, const std::string& message) {
  try {
    f();
    FAIL("accepted where expected: " << message);
  } catch (const Error& e) {
    CHECK_MESSAGE(std::string(e.what()).find(message) != std::string::npos, e.what());
  }
}

Json golden_config() {
  return read_json(golden + "/config.json");
}
ModelConfig parse(const Json& json) {
  return config_from_hugging_face(json, "c").model;
}

}  // namespace

TEST_CASE("hugging_face: float logits are those of the independent implementation") {
  const SafetensorsFile expected(DSLLM_SOURCE_DIR "/tests/golden/model/tiny_expected.safetensors");
  const auto tokens = expected.copy<int32_t, 2>("tokens");
  const auto truth = expected.copy<double, 3>("logits");
  const std::unique_ptr<TextEngine> engine = open_text_engine(golden);
  Tensor<float, 1> logits(engine->config().vocab_size);
  engine->append(tokens.row(0), logits);
  for (int64_t j = 0; j < logits.size(); ++j)
    // Logits up to 10 after two layers of float sums: a few hundred roundings of 2^-24.
    CHECK(std::abs(logits(j) - truth(0, tokens.extent[1] - 1, j)) <= 1e-4);
}

TEST_CASE("hugging_face: a model in bf16 stays bf16 and means what its rounded weights mean in float") {
  const TemporaryFolder folder;
  rewrite(folder.path, DType::bf16, 1 << 30);
  const LoadedModel model(folder.path);
  CHECK(model.is_bf16());
  const SafetensorsFile file(folder / "model.safetensors");
  // Not a copy: the weights lie in the file as it is mapped, 2 bytes each.
  CHECK(sizeof(*model.weights<bf16>().head.data) == 2);
  // The same rounded weights as F32.
  const TemporaryFolder rounded;
  {
    std::vector<TensorSpec> specs;
    for (const TensorInfo& t : file.tensors()) specs.push_back({t.name, DType::f32, t.shape});
    SafetensorsModelWriter out(rounded.path, specs, 1 << 30);
    for (const TensorInfo& t : file.tensors()) {
      Tensor<float, 1> values(t.elements());
      file.read_as(t.name, std::span<float>(values.data, static_cast<size_t>(values.size())));
      out.write(t.name, values);
    }
    out.commit();
    std::filesystem::copy(golden + "/config.json", rounded / "config.json");
  }
  CHECK(!LoadedModel(rounded.path).is_bf16());
  // The same numbers, summed in the same lanes.
  CHECK(largest_difference(logits_of(folder.path), logits_of(rounded.path)) <= 1e-5);
  // And rounding to 8 bits shows, but not much: the comparison above compares something.
  const double rounding = largest_difference(logits_of(folder.path), logits_of(golden));
  CHECK(rounding > 1e-4);
  CHECK(rounding < 0.5);
}

TEST_CASE("hugging_face: F16 becomes float; shards with an index are one model") {
  const TemporaryFolder halves, shards;
  rewrite(halves.path, DType::f16, 1 << 30);
  CHECK(!LoadedModel(halves.path).is_bf16());
  CHECK(largest_difference(logits_of(halves.path), logits_of(golden)) < 0.05);
  rewrite(shards.path, DType::f32, 10'000);
  CHECK(std::filesystem::exists(shards / "model.safetensors.index.json"));
  CHECK(largest_difference(logits_of(shards.path), logits_of(golden)) == 0);
}

TEST_CASE("hugging_face: what is saved is loaded again, in float exactly and in bf16 rounded") {
  ModelConfig config = model_preset("tiny");
  EigenEngine engine(config, 1, 8);
  engine.initialize(3);
  const auto read = [&](const ParameterInfo& p, View<float, 1> host) {
    engine.copy_out(StatePart::weights, p, host);
  };
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const TemporaryFolder folder;
    save_hugging_face(folder / "new", config, dtype, read);
    const LoadedModel model(folder / "new");
    CHECK(model.is_bf16() == (dtype == DType::bf16));
    CHECK(model_config_to_json(model.config()) == model_config_to_json(config));
    for (const ParameterInfo& p : engine.parameters()) {
      Tensor<float, 1> host(p.size), back(p.size);
      read(p, host);
      SafetensorsFile(folder / "new/model.safetensors")
          .read_as(p.name, std::span<float>(back.data, back.size()));
      for (int64_t i = 0; i < p.size; ++i)
        REQUIRE(back(i) == (dtype == DType::f32 ? host(i) : static_cast<float>(bf16(host(i)))));
    }
  }
}

TEST_CASE("hugging_face: a tied head is the embedding") {
  const TemporaryFolder folder;
  rewrite(folder.path, DType::f32, 1 << 30, [](std::vector<TensorSpec>& specs) {
    std::erase_if(specs, [](const TensorSpec& s) { return s.name == "lm_head.weight"; });
  });
  check_error([&] { LoadedModel{folder.path}; }, "lm_head.weight");
  Json config = golden_config();
  config["tie_word_embeddings"] = true;
  write_file_atomically(folder / "config.json", config.dump());
  const LoadedModel model(folder.path);
  CHECK(model.weights<float>().head.data == model.weights<float>().embedding.data);
}

TEST_CASE("hugging_face: missing, misshapen and unknown tensors are named; RoPE's frequencies are let pass") {
  const TemporaryFolder folder;
  rewrite(folder.path, DType::f32, 1 << 30, [](std::vector<TensorSpec>& specs) {
    std::erase_if(specs, [](const TensorSpec& s) { return s.name == "model.norm.weight"; });
  });
  check_error([&] { LoadedModel{folder.path}; }, "model.norm.weight");
  rewrite(folder.path, DType::f32, 1 << 30, [](std::vector<TensorSpec>& specs) { specs[0].shape[0] += 1; });
  check_error([&] { LoadedModel{folder.path}; }, "as config.json says, got [");
  rewrite(folder.path, DType::f32, 1 << 30, [](std::vector<TensorSpec>& specs) {
    specs.push_back({"model.extra", DType::f32, {1}});
  });
  check_error([&] { LoadedModel{folder.path}; }, "tensor 'model.extra'");
  rewrite(folder.path, DType::f32, 1 << 30, [](std::vector<TensorSpec>& specs) {
    specs.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", DType::f32, {3}});
  });
  CHECK_NOTHROW(LoadedModel{folder.path});
}

TEST_CASE("hugging_face: config fields are read, and what would change the arithmetic is refused") {
  const ModelConfig c = parse(golden_config());
  CHECK(c.d_head == 6);
  CHECK(c.n_kv_heads == 2);
  CHECK(c.rms_eps == 1e-6);
  const auto with = [](const char* field, const Json& value) {
    Json json = golden_config();
    json[field] = value;
    return json;
  };
  check_error(
      [&] {
        parse(with("rope_parameters", {{"rope_type", "default"}, {"rope_theta", 500000.0}}));
      },
      "field 'rope_theta': expected 500000.0, got 10000.0");
  Json newer = with("rope_parameters", {{"rope_type", "default"}, {"rope_theta", 500000.0}});
  newer.erase("rope_theta");
  CHECK(parse(newer).rope_theta == 500000);
  CHECK(parse(with("num_key_value_heads", nullptr)).n_kv_heads == 4);
  CHECK(parse(with("use_cache", true)).n_layers == 2);
  const std::vector<std::pair<const char*, Json>> refused = {
      {"model_type", "mixtral"},      {"model_type", nullptr}, {"hidden_act", "gelu"},
      {"attention_bias", true},       {"mlp_bias", true},      {"rope_scaling", {{"type", "linear"}}},
      {"partial_rotary_factor", 0.5}, {"sliding_window", 128}, {"quantization_config", Json::object()}};
  for (const auto& change : refused)
    check_error([&] { parse(with(change.first, change.second)); }, fmt::format("field '{}'", change.first));
  check_error([&] { parse(with("rope_parameters", {{"rope_type", "yarn"}})); }, "field 'rope_type'");
  check_error([&] { parse(with("rope_parameters", {{"type", "yarn"}})); }, "field 'type'");
  check_error([&] { parse(with("rope_parameters", {{"factor", 4.0}})); }, "field 'rope_parameters.factor'");
  check_error([&] { parse(with("hidden_size", "24")); }, "field 'hidden_size': expected a whole number");
  check_error([&] { parse(with("num_hidden_layers", nullptr)); }, "field 'num_hidden_layers'");
  check_error([&] { parse(with("num_key_value_heads", 3)); },
              "n_heads: expected a multiple of n_kv_heads = 3, got 4");
}

TEST_CASE("hugging_face: a text longer than the context and ids outside the vocabulary give both numbers") {
  const std::unique_ptr<TextEngine> engine = open_text_engine(golden);
  Tensor<float, 1> logits(engine->config().vocab_size);
  const std::vector<int32_t> long_text(33, 1), bad{1, 67};
  check_error([&] { engine->append(View<const int32_t, 1>(long_text.data(), {33}), logits); },
              "expected a text of at most 32 tokens, got 33");
  check_error([&] { engine->append(View<const int32_t, 1>(bad.data(), {2}), logits); },
              "expected ids below the vocabulary of 67, got id 67 at position 1");
  CHECK(engine->length() == 0);
}
