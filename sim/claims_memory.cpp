// Claims about parameters and bytes. GB are 1e9 bytes, TB 1e12.
#include <cmath>

#include "ref/core/gpu.hpp"
#include "sim/claims_parts.hpp"
#include "sim/memory.hpp"
#include "sim/scaling/text.hpp"

namespace dsllm::sim {

namespace {

double count(const Model& model) {
  return static_cast<double>(parameters(model).total());
}

// Weights, gradients, master copy and moments.
int64_t training_bytes(const Recipe& r) {
  return r.weight_bytes + r.gradient_bytes + r.master_bytes + r.moment_bytes;
}

Claim parameters_of(const Model& model, const char* name, double billion, double half_a_digit) {
  return {fmt::format("parameters-{}", name),
          fmt::format("The {} model has {:g} billion parameters", name, billion),
          "parameters",
          "e9",
          billion - half_a_digit,
          billion + half_a_digit,
          count(model) / 1e9,
          {fmt::format("{} layers of {} + embedding {} + norm {} + head {} = {}", model.n_layers,
                       parameters(model).layer.total(), parameters(model).embedding,
                       parameters(model).final_norm, parameters(model).head, parameters(model).total())},
          ""};
}

Claim fp16_takes_terabytes(const Model& model) {
  const double n = count(model), gb = inference_memory(model, 1, 0, 0, 2, 2).weights / 1e9;
  const Recipe recipe;
  return {"67b-fp16",
          "The 67B model needs 1.2 TB in fp16",
          "bytes of its weights in fp16",
          "GB",
          1150,
          1250,
          gb,
          {fmt::format("2 bytes * {} parameters = {:.1f} GB", compact(n), gb),
           fmt::format("in training: {} + {} + {} + {} = {} bytes (bf16 weights; fp32 gradients, master copy "
                       "and two moments) "
                       "* {} = {:.2f} TB",
                       recipe.weight_bytes, recipe.gradient_bytes, recipe.master_bytes, recipe.moment_bytes,
                       training_bytes(recipe), compact(n),
                       static_cast<double>(training_bytes(recipe)) * n / 1e12)},
          "The figure is what training keeps, over all GPUs, before activations."};
}

Claim kv_cache(const Model& model, const char* name, const char* statement, double gb, double half_a_digit,
               std::string remark) {
  const double bytes = inference_memory(model, 1, 1, 4096).kv_cache;
  return {name,
          statement,
          "KV cache of one sequence of 4096 tokens in bf16",
          "GB",
          gb - half_a_digit,
          gb + half_a_digit,
          bytes / 1e9,
          {fmt::format("2 (K, V) * {} layers * {} kv heads * {} * 2 bytes * 4096 tokens = {:.2f} GB",
                       model.n_layers, model.n_kv_heads, model.d_head, bytes / 1e9)},
          std::move(remark)};
}

double cache_of_all_heads(Model model) {
  model.n_kv_heads = model.n_heads;
  return inference_memory(model, 1, 1, 4096).kv_cache;
}

Claim gqa_divides_the_cache(const Model& gqa) {
  const double ratio = cache_of_all_heads(gqa) / inference_memory(gqa, 1, 1, 4096).kv_cache;
  return {"gqa-cache",
          "GQA makes the 67B model's KV cache 8 times smaller",
          "KV cache with MHA over that with GQA",
          "x",
          7.5,
          8.5,
          ratio,
          {fmt::format("{} heads / {} kv heads = {:g}", gqa.n_heads, gqa.n_kv_heads, ratio)},
          ""};
}

Claim flash_attention_memory(const Model& model) {
  const auto core = [&](int64_t seq_len, bool flash) {
    Scenario s;
    s.model = model;
    s.model.seq_len = seq_len;
    s.layout.dp = 1;
    s.layout.global_batch = 1;
    s.recipe.flash_attention = flash;
    return activation_bytes_per_layer(s);
  };
  const int64_t n = model.seq_len;
  const double exponent = std::log2(core(2 * n, true) / core(n, true));
  return {"flash-attention-memory",
          "FlashAttention makes the activations of attention O(n) in memory",
          "exponent of n in the bytes that a layer keeps for its backward pass",
          "",
          0.95,
          1.05,
          exponent,
          {fmt::format("with it: {:.2f} GB a layer at {} tokens, {:.2f} GB at {}: log2 = {:.2f}",
                       core(n, true) / 1e9, n, core(2 * n, true) / 1e9, 2 * n, exponent),
           fmt::format("without: {:.2f} and {:.2f} GB: log2 = {:.2f}", core(n, false) / 1e9,
                       core(2 * n, false) / 1e9, std::log2(core(2 * n, false) / core(n, false)))},
          ""};
}

Claim fits_a_24_gb_card(const Model& model, bool training) {
  const Recipe recipe;
  const double gb = training ? static_cast<double>(training_bytes(recipe)) * count(model) / 1e9
                             : inference_memory(model, 1, 1, 4096).total() / 1e9;
  const double card = find_gpu("rtx4090").hbm_bytes / 1e9;
  Claim claim{training ? "24-gb-training" : "24-gb-inference",
              training ? "The 7B model can be trained on one card of 24 GB"
                       : "The 7B model generates on one card of 24 GB in bf16",
              training ? "weights, gradients and optimizer, before activations"
                       : "weights and KV cache of 4096 tokens",
              "GB",
              0,
              card,
              gb,
              {},
              ""};
  if (training) {
    claim.derivation = {fmt::format("{} bytes a parameter * {} = {:.1f} GB of {:g}", training_bytes(recipe),
                                    compact(count(model)), gb, card)};
    claim.remark = "Adapters of low rank, 4-bit weights or offloading are another matter.";
  } else {
    const InferenceMemory m = inference_memory(model, 1, 1, 4096);
    claim.derivation = {fmt::format("{:.1f} GB of weights + {:.1f} GB of KV cache = {:.1f} GB of {:g}",
                                    m.weights / 1e9, m.kv_cache / 1e9, gb, card)};
  }
  return claim;
}

Claim embeddings_are_negligible(const Model& model) {
  const Parameters p = parameters(model);
  const double share = 100 * static_cast<double>(p.embedding + p.head) / count(model);
  return {"embeddings-7b",
          "Embedding and head are less than 5% of the 7B model",
          "share of the parameters",
          "%",
          0,
          5,
          share,
          {fmt::format("({} + {}) / {} = {:.1f}%", p.embedding, p.head, p.total(), share)},
          "A vocabulary of 102400 is felt at this size; hence the difference between N1 and N2."};
}

Claim mlp_is_two_thirds(const Model& model, const char* name) {
  const LayerParameters& layer = parameters(model).layer;
  const double share =
      100 * static_cast<double>(layer.mlp_in + layer.mlp_down) / static_cast<double>(layer.total());
  return {fmt::format("mlp-share-{}", name),
          fmt::format("Two thirds of the {} model's layers are MLP", name),
          "share of a layer's parameters",
          "%",
          65.5,
          67.5,
          share,
          {fmt::format("3 * {} * {} = {} of {}: {:.1f}%", model.d_model, model.d_ff,
                       layer.mlp_in + layer.mlp_down, layer.total(), share)},
          model.n_kv_heads < model.n_heads ? "GQA takes weights from attention." : ""};
}

}  // namespace

std::vector<Claim> memory_claims(const ClaimModels& m) {
  return {
      parameters_of(m.small, "7B", 6.9, 0.05),
      parameters_of(m.large, "67B", 67, 0.5),
      mlp_is_two_thirds(m.small, "7B"),
      mlp_is_two_thirds(m.large, "67B"),
      embeddings_are_negligible(m.small),
      fp16_takes_terabytes(m.large),
      fits_a_24_gb_card(m.small, true),
      fits_a_24_gb_card(m.small, false),
      gqa_divides_the_cache(m.large),
      kv_cache(m.large, "67b-kv-cache", "The 67B model's KV cache takes 12.8 GB at 4096 tokens", 12.8, 0.05,
               fmt::format("All {} heads would take {:.1f} GB; {} are kept.", m.large.n_heads,
                           cache_of_all_heads(m.large) / 1e9, m.large.n_kv_heads)),
      kv_cache(m.small, "7b-kv-cache", "The 7B model's KV cache takes 2 GB at 4096 tokens", 2, 0.05,
               "MHA: more than that of the 67B model with GQA."),
      flash_attention_memory(m.small)};
}

}  // namespace dsllm::sim
