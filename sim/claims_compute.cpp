// Claims about FLOPs.
#include <cmath>

#include "sim/claims_parts.hpp"
#include "sim/scaling/text.hpp"

namespace dsllm::sim {

namespace {

Claim gqa_saves_compute(const Model& gqa) {
  Model mha = gqa;
  mha.n_kv_heads = mha.n_heads;
  const auto saved = [&](const FlopConvention& c) {
    return 100 * (1 - flops_per_token(gqa, c).forward / flops_per_token(mha, c).forward);
  };
  const double with = flops_per_token(gqa, paper_convention).forward;
  const double without = flops_per_token(mha, paper_convention).forward;
  return {"gqa-compute",
          "GQA saves the 67B model 20-30% of the compute",
          "share of the forward FLOPs that GQA saves at the same dimensions",
          "%",
          20,
          30,
          saved(paper_convention),
          {fmt::format("K and V take 4 d_model (n_heads - n_kv_heads) d_head n_layers = 4 * {} * ({} - {}) * "
                       "{} * {} = {} "
                       "FLOPs a token less",
                       gqa.d_model, gqa.n_heads, gqa.n_kv_heads, gqa.d_head, gqa.n_layers,
                       billions(without - with)),
           fmt::format("forward, full attention at {} tokens, no head: 1 - {} / {} = {:.1f}%", gqa.seq_len,
                       billions(with), billions(without), saved(paper_convention)),
           fmt::format("causal attention, with the head: {:.1f}%", saved({true, true, Recompute::none}))},
          "What GQA is for is the KV cache, not the compute."};
}

Claim flash_attention_is_linear(const Model& model) {
  Model twice = model;
  twice.seq_len = 2 * model.seq_len;
  const auto core = [](const Model& m) {  // of a whole sequence, all layers
    return forward_layer_flops_per_token(m, true).attention_core * static_cast<double>(m.n_layers) *
           static_cast<double>(m.seq_len);
  };
  const double exponent = std::log2(core(twice) / core(model));
  return {"flash-attention-compute",
          "FlashAttention makes attention O(n)",
          "exponent of n in the FLOPs of attention over a sequence of n tokens",
          "",
          0.95,
          1.05,
          exponent,
          {fmt::format("scores and values of {} tokens: {} FLOPs; of {} tokens: {}", model.seq_len,
                       compact(core(model)), twice.seq_len, compact(core(twice))),
           fmt::format("log2({} / {}) = {:.2f}: every query still meets every key before it",
                       compact(core(twice)), compact(core(model)), exponent)},
          "It never stores the scores, so memory becomes O(n). FLOPs and reads of K and V stay O(n^2), the "
          "reads by far fewer."};
}

Claim training_of_67b(const Model& model, double tokens) {
  const Flops f = flops_per_token(model, paper_convention);
  const double c = training_flops(model, tokens);
  return {
      "67b-training-compute",
      "Training the 67B model took 3.5e23 FLOPs",
      "C = M D",
      "FLOPs",
      3.45e23,
      3.55e23,
      c,
      {fmt::format("M = {} forward + {} backward = {} FLOPs a token (full attention, no head)",
                   billions(f.forward), billions(f.backward_input + f.backward_weight), billions(f.total())),
       fmt::format("C = M D = {} * {} = {}", compact(f.total()), compact(tokens), compact(c)),
       fmt::format("causal attention, with the head: {}",
                   compact(flops_per_token(model, {true, true, Recompute::none}).total() * tokens))},
      fmt::format("{} FLOPs are {:.2f} times as many.", compact(c), c / 3.5e23)};
}

Claim fewer_than_llama(const Model& model, const Model& llama) {
  const double ours = flops_per_token(model, paper_convention).total();
  const double theirs = flops_per_token(llama, paper_convention).total();
  const FlopConvention other{true, true, Recompute::none};
  const double saved = 100 * (1 - ours / theirs);
  return {
      "67b-against-llama-2-70b",
      "The 67B model needs 10-30% fewer FLOPs a token than Llama-2 70B",
      "FLOPs a token less than Llama-2 70B's",
      "%",
      10,
      30,
      saved,
      {fmt::format("DeepSeek {} layers, d_ff {}: M = {}; Llama-2 {} layers, d_ff {}: M = {}", model.n_layers,
                   model.d_ff, billions(ours), llama.n_layers, llama.d_ff, billions(theirs)),
       fmt::format("1 - {} / {} = {:.1f}% (full attention, no head)", billions(ours), billions(theirs),
                   saved),
       fmt::format(
           "causal attention, with the head: {:.1f}%",
           100 * (1 - flops_per_token(model, other).total() / flops_per_token(llama, other).total()))},
      "More layers with a narrower MLP: nearly the same compute."};
}

Claim two_n_d_l(const Model& model, double tokens) {
  const double n = static_cast<double>(parameters(model).total()),
               layers = static_cast<double>(model.n_layers);
  const double c = training_flops(model, tokens), formula = 2 * n * tokens * layers;
  return {"2ndl",
          "Training takes 2 N D L FLOPs",
          "2 N D L over C = M D, 67B",
          "x",
          0.95,
          1.05,
          formula / c,
          {fmt::format("2 N D L = 2 * {} * {} * {} = {}", compact(n), compact(tokens), model.n_layers,
                       compact(formula)),
           fmt::format("C = M D = {}; ratio {:.1f}", compact(c), formula / c)},
          "N holds all layers already, so L counts them twice; the backward pass, twice the forward one, is "
          "missing."};
}

Claim six_n_d_is_exact(const ClaimModels& models) {
  const auto error = [&](const Model& m) {
    return 100 *
           (6 * static_cast<double>(parameters(m).total()) / flops_per_token(m, paper_convention).total() -
            1);
  };
  Model tiny = models.small;  // the first row of table 3
  tiny.n_layers = 8;
  tiny.d_model = 512;
  return {
      "6nd",
      "C = 6 N D is exact",
      "6 N D over C = M D, 67B, less 1",
      "%",
      -0.5,
      0.5,
      error(models.large),
      {fmt::format("67B: 6 N = {}, M = {}: {:+.1f}%",
                   billions(6 * static_cast<double>(parameters(models.large).total())),
                   billions(flops_per_token(models.large, paper_convention).total()), error(models.large)),
       fmt::format("7B: {:+.1f}%", error(models.small)),
       fmt::format("8 layers of 512 (table 3), by the paper's formulas: 6 N1 / M = {:.2f}, 6 N2 / M = {:.2f}",
                   paper_6n1(tiny) / paper_m(tiny), paper_6n2(tiny) / paper_m(tiny))},
      "It leaves out attention's core and counts the embedding; the smaller the model, the worse. Hence the "
      "paper's M."};
}

Claim equation_2_counts_67b(const Model& model) {
  const double printed = paper_m(model), counted = flops_per_token(model, paper_convention).total();
  return {"equation-2-67b",
          "M = 72 n d^2 + 12 n d s is what the 67B model computes",
          "M by equation (2) over the count by its shape, less 1",
          "%",
          -0.5,
          0.5,
          100 * (printed / counted - 1),
          {fmt::format("72 * {0} * {1}^2 + 12 * {0} * {1} * {2} = {3}", model.n_layers, model.d_model,
                       model.seq_len, billions(printed)),
           fmt::format("by matrices, {} kv heads and d_ff {}: {}", model.n_kv_heads, model.d_ff,
                       billions(counted))},
          "Equation (2) is for MHA and an MLP of 8 d^2 weights; the 67B model has fewer in both."};
}

Claim causal_halves(const Model& model) {
  const double full = flops_per_token(model, {false, true, Recompute::none}).total();
  const double causal = flops_per_token(model, {true, true, Recompute::none}).total();
  const double saved = 100 * (1 - causal / full);
  return {"causal-half",
          "Causal masking halves the FLOPs of training",
          "share of the FLOPs that masking saves, 67B",
          "%",
          45,
          55,
          saved,
          {fmt::format("full {} a token, causal {}: 1 - {:.4f} = {:.1f}%", billions(full), billions(causal),
                       causal / full, saved)},
          "It halves attention's core only, a small part at this length."};
}

Claim attention_dominates(const Model& model) {
  const LayerFlops layer = forward_layer_flops_per_token(model, false);
  const double core = layer.attention_core * static_cast<double>(model.n_layers);
  const double all = flops_per_token(model, {false, true, Recompute::none}).forward;
  return {"attention-dominates",
          "At 4096 tokens most of the compute is attention's n^2 part",
          "share of scores and values in the forward FLOPs, 7B, full attention",
          "%",
          50,
          100,
          100 * core / all,
          {fmt::format("4 n_layers d_model s = 4 * {} * {} * {} = {} of {}: {:.1f}%", model.n_layers,
                       model.q_dim(), model.seq_len, billions(core), billions(all), 100 * core / all),
           fmt::format("half of it where s = {:.0f} tokens",
                       static_cast<double>(model.seq_len) * (all - core) / core)},
          "The matrices cost more until contexts of tens of thousands of tokens."};
}

Claim longer_context_doubles(const Model& model) {
  Model twice = model;
  twice.seq_len = 2 * model.seq_len;
  const double now = flops_per_token(model, paper_convention).total(),
               then = flops_per_token(twice, paper_convention).total();
  return {"context-doubles-cost",
          "Twice the context costs twice the FLOPs a token",
          "FLOPs a token at 2 s over those at s, 67B",
          "x",
          1.95,
          2.05,
          then / now,
          {fmt::format("{} at {}, {} at {}: ratio {:.3f} (full attention, no head)", billions(now),
                       model.seq_len, billions(then), twice.seq_len, then / now)},
          "Only attention's core grows with the context."};
}

Claim backward_is_twice(const Model& model) {
  const Flops f = flops_per_token(model, {true, true, Recompute::none});
  const double ratio = (f.backward_input + f.backward_weight) / f.forward;
  return {"backward-twice",
          "The backward pass takes twice the FLOPs of the forward pass",
          "backward over forward, 67B",
          "x",
          1.95,
          2.05,
          ratio,
          {fmt::format("({} for inputs + {} for weights) / {} = {:.2f}", billions(f.backward_input),
                       billions(f.backward_weight), billions(f.forward), ratio)},
          "Each matrix is multiplied once more for its input's gradient and once for its weight's."};
}

Claim recompute_costs_a_third(const Model& model) {
  const double plain = flops_per_token(model, {true, true, Recompute::none}).total();
  const double full = flops_per_token(model, {true, true, Recompute::full}).total();
  return {"recompute-third",
          "Recomputing all activations costs a third more FLOPs",
          "more FLOPs with full recomputation, 67B",
          "%",
          32.5,
          34,
          100 * (full / plain - 1),
          {fmt::format("{} / {} - 1 = {:.1f}%: the layers' forward pass twice, the head's once",
                       billions(full), billions(plain), 100 * (full / plain - 1))},
          "Recomputing attention's core alone costs a few percent."};
}

}  // namespace

std::vector<Claim> compute_claims(const ClaimModels& m) {
  return {gqa_saves_compute(m.large),         flash_attention_is_linear(m.large),
          training_of_67b(m.large, m.tokens), fewer_than_llama(m.large, m.llama),
          two_n_d_l(m.large, m.tokens),       six_n_d_is_exact(m),
          equation_2_counts_67b(m.large),     causal_halves(m.large),
          attention_dominates(m.small),       longer_context_doubles(m.large),
          backward_is_twice(m.large),         recompute_costs_a_third(m.large)};
}

}  // namespace dsllm::sim
