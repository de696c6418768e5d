#include "sim/memory.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "sim/model_cost.hpp"

using namespace dsllm::sim;

namespace {

double off(double a, double b) {
  return std::abs(a / b - 1);
}

// Korthikanti et al.'s setting: GPT, dropout, no flash attention.
Scenario korthikanti(int64_t tp, bool sp, Recompute recompute) {
  Scenario s;
  s.model = find_model("megatron-22b");
  s.cluster.gpus = tp;
  s.layout.dp = 1;
  s.layout.tp = tp;
  s.layout.sp = sp;
  s.layout.recompute = recompute;
  s.layout.micro_batch = s.layout.global_batch = 4;
  s.recipe.flash_attention = false;
  s.recipe.dropout = true;
  return s;
}

Scenario on(const char* model, int64_t gpus, int64_t tp, int64_t pp, int64_t zero = 0) {
  Scenario s;
  s.model = find_model(model);
  s.cluster.gpus = gpus;
  s.layout.tp = tp;
  s.layout.pp = pp;
  s.layout.zero = zero;
  s.layout.sp = tp > 1;
  s.layout.global_batch = 4608;
  return checked(s);
}

Machine machine(const Scenario& s) {
  return machine_of(s.cluster, s.recipe);
}

}  // namespace

TEST_CASE("activations of a layer: Korthikanti et al., table 2") {
  const double s = 2048, b = 4, h = 6144, a = 64, t = 8, sbh = s * b * h;
  const auto bytes = [](int64_t tp, bool sp, Recompute r) {
    return activation_bytes_per_layer(korthikanti(tp, sp, r));
  };
  CHECK(off(bytes(1, false, Recompute::none), sbh * (34 + 5 * a * s / h)) < 1e-15);
  CHECK(bytes(8, false, Recompute::none) == sbh * (10 + 24 / t + 5 * a * s / (h * t)));
  CHECK(off(bytes(8, true, Recompute::none), sbh / t * (34 + 5 * a * s / h)) < 1e-15);
  CHECK(bytes(8, false, Recompute::selective) == sbh * (10 + 24 / t));
  CHECK(bytes(8, true, Recompute::selective) == 34 * sbh / t);
  CHECK(bytes(8, false, Recompute::full) == 2 * sbh);
  CHECK(bytes(8, true, Recompute::full) == 2 * sbh / t);
}

TEST_CASE("activations of a layer of Llama's type: sbh (12 + 4g + 6 f/h), and 4 s b a of log-sum-exp") {
  for (const char* name : {"deepseek-llm-7b", "deepseek-llm-67b"}) {
    Scenario s = on(name, 8, 1, 1);
    const Model& m = s.model;
    const double sbh = static_cast<double>(m.seq_len * m.d_model);
    const double g = static_cast<double>(m.n_kv_heads) / static_cast<double>(m.n_heads);
    const double f = static_cast<double>(m.d_ff) / static_cast<double>(m.d_model);
    const double lse = 4.0 * static_cast<double>(m.seq_len * m.n_heads);
    CHECK(off(activation_bytes_per_layer(s), sbh * (12 + 4 * g + 6 * f) + lse) < 1e-14);
    s.layout.recompute = Recompute::selective;  // flash attention keeps nothing else of the core
    CHECK(off(activation_bytes_per_layer(s), sbh * (12 + 4 * g + 6 * f)) < 1e-14);
  }
  // 8 kv heads on 16 ranks: each has one, so keys and values are divided by 8 only.
  Scenario s = on("deepseek-llm-67b", 16, 8, 1);
  const double at_8 = activation_bytes_per_layer(s);
  s.layout.tp = 16;
  s.layout.dp = 1;
  const double kv = 4.0 * 4096 * 128;
  CHECK(off(activation_bytes_per_layer(s), (at_8 - kv) / 2 + kv) < 1e-14);
}

TEST_CASE("the list of tensors adds up to the sum, in every setting") {
  for (const bool gated : {false, true})
    for (const bool dropout : {false, true})
      for (const bool flash : {false, true})
        for (const bool sp : {false, true})
          for (const int64_t cp : {1, 2})
            for (const Recompute r : {Recompute::none, Recompute::selective, Recompute::full}) {
              Scenario s = korthikanti(8, sp, r);
              s.model.gated = gated;
              s.layout.cp = cp;
              s.recipe.dropout = dropout;
              s.recipe.flash_attention = flash;
              double sum = 0;
              for (const TensorBytes& t : activation_tensors(s)) {
                CHECK(t.bytes > 0);
                CHECK(std::strlen(t.lifetime) > 0);
                sum += t.bytes;
              }
              CHECK(sum == activation_bytes_per_layer(s));
              // Half of the sequence is half of everything: scores reach all of it from a rank's half.
              if (cp == 2) {
                s.layout.cp = 1;
                CHECK(off(activation_bytes_per_layer(s), 2 * sum) < 1e-14);
              }
            }
}

TEST_CASE("weight context: Qi et al., 32 s b h beside 34 s b h + 5 a s of activations") {
  Scenario s = korthikanti(1, false, Recompute::none);
  CHECK(weight_context_bytes_per_layer(s) == 32.0 * 2048 * 4 * 6144);
  CHECK(boundary_bytes(s) == 2.0 * 2048 * 4 * 6144);
  s = korthikanti(8, true, Recompute::none);
  CHECK(weight_context_bytes_per_layer(s) == 32.0 * 2048 * 4 * 6144 / 8);
  CHECK(boundary_bytes(s) == 2.0 * 2048 * 4 * 6144 / 8);
}

TEST_CASE("18 bytes a parameter, and what ZeRO divides") {
  const double n = 6910365696.0;
  const auto states = [](int64_t zero, int64_t gradient_bytes = 4) {
    Scenario s = on("deepseek-llm-7b", 8, 1, 1, zero);
    s.recipe.gradient_bytes = gradient_bytes;
    const RankMemory m = rank_memory(s, machine(s), 0);
    return m.weights + m.gradients + m.optimizer;
  };
  CHECK(states(0) == n * 18);
  CHECK(states(1) == n * (6 + 12.0 / 8));
  CHECK(states(2) == n * (2 + 16.0 / 8));
  CHECK(states(3) == n * (18.0 / 8));
  // DeepSpeed's gradients in 16 bits: 16, 4 + 12/d, 2 + 14/d, 16/d.
  CHECK(states(0, 2) == n * 16);
  CHECK(states(1, 2) == n * (4 + 12.0 / 8));
  CHECK(states(2, 2) == n * (2 + 14.0 / 8));
  CHECK(states(3, 2) == n * (16.0 / 8));
}

TEST_CASE("context parallelism shards as data parallelism does") {
  Scenario s = on("deepseek-llm-7b", 8, 1, 1, 1);
  const RankMemory dp = rank_memory(s, machine(s), 0);
  s.layout.dp = 2;
  s.layout.cp = 4;
  CHECK(rank_memory(s, machine(s), 0).optimizer == dp.optimizer);
}

TEST_CASE("all ranks together hold at least the model, and exactly it where nothing is repeated") {
  for (const char* name : {"deepseek-llm-7b", "deepseek-llm-67b", "gpt3-175b"})
    for (const int64_t tp : {1, 2, 8})
      for (const int64_t pp : {1, 2, 3, 8}) {
        Scenario s = on(name, tp * pp, tp, pp);
        s.layout.global_batch = 16;
        double sum = 0;
        for (int64_t i = 0; i < pp; ++i)
          sum += static_cast<double>(tp) * rank_memory(s, machine(s), i).weights / 2;
        const Parameters p = parameters(s.model);
        CHECK(sum >= static_cast<double>(p.total()) * (1 - 1e-14));
        if (tp == 1) {
          // A tied head is copied to the last stage.
          const double copy = s.model.tied && pp > 1 ? static_cast<double>(p.embedding) : 0;
          CHECK(off(sum, static_cast<double>(p.total()) + copy) < 1e-14);
        }
        // Tensor parallelism repeats norms, some biases, positions and padding of the vocabulary: little.
        CHECK(sum < 1.002 * static_cast<double>(p.total() + (s.model.tied ? p.embedding : 0)));
      }
}

TEST_CASE("logits are on the head's stage, in bf16 where the gradient overwrites them") {
  Scenario s = on("deepseek-llm-67b", 64, 8, 8);
  for (int64_t i = 0; i < 7; ++i) CHECK(rank_memory(s, machine(s), i).logits == 0);
  CHECK(rank_memory(s, machine(s), 7).logits == 2.0 * 4096 * 102400 / 8);
  s.recipe.in_place_cross_entropy = false;
  CHECK(rank_memory(s, machine(s), 7).logits == memory_constants.logits_bytes * 4096 * 102400 / 8);
  s.layout.schedule = ScheduleKind::gpipe;  // all micro-batches go forward first
  s.layout.global_batch = 16;
  CHECK(rank_memory(s, machine(s), 7).logits == 16 * memory_constants.logits_bytes * 4096 * 102400 / 8);
  s.model.vocab_size = 102401;  // padded to a multiple of tp
  CHECK(rank_memory(s, machine(s), 7).logits == 16 * memory_constants.logits_bytes * 4096 * 12801);
}

TEST_CASE("buffers: gathered inputs, what has arrived, and the gradients of one layer") {
  Scenario s = on("deepseek-llm-67b", 64, 8, 8);
  const double tokens = 4096, d = 8192, f = 22016;
  const double working = 2 * (3 * tokens * f / 8 + 2 * tokens / 8 * d);
  const double gathered = 2 * 2 * tokens * d, arrived = 2 * boundary_bytes(s);
  CHECK(rank_memory(s, machine(s), 0).buffers == gathered + arrived + working);
  // On the last stage the logits are larger, and gone when the layers run backward.
  CHECK(rank_memory(s, machine(s), 7).logits > working);
  CHECK(rank_memory(s, machine(s), 7).buffers == gathered + arrived);
  // Context parallelism: half of everything, and keys and values of another rank with their gradients.
  s.layout.cp = 2;
  const double passed_on = 2 * 2 * tokens / 2 * 2 * 128;
  CHECK(rank_memory(s, machine(s), 0).buffers == (gathered + arrived + working) / 2 + passed_on);
}

TEST_CASE("the allowance is what memory_constants say") {
  Scenario s = on("deepseek-llm-67b", 128, 8, 8, 1);
  // Fused programs keep no copies, neither of activations nor of gradients.
  const RankMemory fused = rank_memory(s, machine(s), 0, 8.0);
  s.recipe.eager = true;
  const MemoryConstants& c = memory_constants;
  const double tokens = 4096, d = 8192, f = 22016;
  const RankMemory m = rank_memory(s, machine(s), 0, 8.0);
  const double layers = static_cast<double>(layers_of_stage(s.model, s.layout, 0));
  const double copies =
      8 * layers * (c.mlp_copies_bytes * tokens * f / 8 + c.gathered_bytes * tokens * 7 / 8 * d);
  const double lost = c.fragmentation * (copies + m.activations + m.logits + m.buffers);
  CHECK(off(m.allowance, copies + lost + c.gradient_copy_bytes * m.weights / 2) < 1e-12);
  CHECK(off(m.allowance - fused.allowance,
            copies * (1 + c.fragmentation) + c.gradient_copy_bytes * m.weights / 2) < 1e-9);
  CHECK(m.total() == m.allocated() + c.context_bytes);
  s.layout.recompute = Recompute::full;  // the layers leave nothing to copy
  s.layout.zero = 2;                     // nor do the gradients
  const RankMemory full = rank_memory(s, machine(s), 0, 8.0);
  CHECK(off(full.allowance, c.fragmentation * (full.activations + full.buffers)) < 1e-12);
}

TEST_CASE("buffers: what each way of dividing needs") {
  Scenario s = on("deepseek-llm-7b", 8, 1, 1, 1);
  const double alone = rank_memory(s, machine(s), 0).buffers;
  const double layer = 2 * 67108864 + 2 * 135266304.0 + 2 * 2 * 4096;  // bytes of a layer's weights
  s.layout.zero = 2;
  const double vocabulary = 102400.0 * 4096;
  CHECK(rank_memory(s, machine(s), 0).buffers == alone + 4 * vocabulary);  // the widest gradient on its way
  s.layout.zero = 3;
  CHECK(rank_memory(s, machine(s), 0).buffers ==
        alone + 4 * vocabulary + std::max(2 * vocabulary, 2 * layer));
  Scenario full = on("deepseek-llm-7b", 8, 1, 1, 1);
  full.layout.recompute = Recompute::full;
  const double once = activation_bytes_per_layer(s) - activation_bytes_per_layer(full);
  full.recipe.in_place_cross_entropy = s.recipe.in_place_cross_entropy = true;
  s.layout.zero = 1;
  full.model.vocab_size = s.model.vocab_size = 1;  // logits do not hide the difference
  CHECK(off(rank_memory(full, machine(full), 0).buffers - rank_memory(s, machine(s), 0).buffers, once) <
        1e-9);
  // Two stages: an activation and a gradient that have arrived.
  Scenario two = s;
  two.layout.pp = 2;
  two.layout.dp = 4;
  const double working = rank_memory(s, machine(s), 0).buffers;
  CHECK(off(rank_memory(two, machine(two), 0).buffers, working + 2 * boundary_bytes(two)) < 1e-3);
}

TEST_CASE(
    "more tensor parallelism never needs more, nor does a higher stage of ZeRO, nor more recomputation") {
  for (const char* name : {"deepseek-llm-7b", "deepseek-llm-67b", "gpt3-175b", "llama-3-8b"})
    for (const int64_t pp : {1, 4})
      for (const int64_t zero : {0, 1, 2, 3})
        for (const bool flash : {false, true}) {
          double before = INFINITY;
          for (const int64_t tp : {1, 2, 4, 8, 16, 32}) {
            Scenario s;
            s.model = find_model(name);
            s.cluster.gpus = tp * pp * 4;
            s.layout.tp = tp;
            s.layout.pp = pp;
            s.layout.zero = zero;
            s.layout.sp = tp > 1;
            s.layout.global_batch = 64;
            s.recipe.flash_attention = flash;
            s = checked(s);
            const double now = worst_rank_memory(s, machine(s)).total();
            CAPTURE(name);
            CAPTURE(tp);
            CAPTURE(pp);
            CHECK(now <= before);
            before = now;

            Scenario again = s;
            double kept = INFINITY;
            for (const Recompute r : {Recompute::none, Recompute::selective, Recompute::full}) {
              again.layout.recompute = r;
              const double activations = worst_rank_memory(again, machine(s)).activations;
              CHECK(activations <= kept);
              kept = activations;
            }
            Scenario sharded = s;
            sharded.layout.zero = std::min<int64_t>(zero + 1, 3);
            const RankMemory more = worst_rank_memory(sharded, machine(s)),
                             less = worst_rank_memory(s, machine(s));
            CHECK(more.weights + more.gradients + more.optimizer <=
                  less.weights + less.gradients + less.optimizer);
          }
        }
}

TEST_CASE("one GPU, one stage, one layer, one token") {
  Scenario s;
  s.model = Model{1, 1, 1, 1, 1, 1, true, false, 1, 1};
  s.cluster.gpus = 1;
  s.layout.global_batch = 1;
  for (const int64_t zero : {0, 1, 2, 3}) {
    s.layout.zero = zero;
    const Scenario c = checked(s);
    const RankMemory m = rank_memory(c, machine(c), 0);
    CHECK(std::isfinite(m.total()));
    CHECK(m.weights == 2 * 12);
    CHECK(m.optimizer == 12 * 12);
    CHECK(chunk_bytes(c, 0, 0).activation > 0);
  }
  CHECK(inference_memory(s.model, 1, 1, 1).total() == 2 * 12 + 4);
}

TEST_CASE("KV cache and weights for inference") {
  const Model m67 = find_model("deepseek-llm-67b"), m7 = find_model("deepseek-llm-7b");
  CHECK(inference_memory(m67, 1, 1, 1).kv_cache == 2 * 95 * 8 * 128 * 2);  // 389 KB a token
  CHECK(inference_memory(m7, 1, 1, 1).kv_cache == 2 * 30 * 32 * 128 * 2);
  CHECK(inference_memory(m67, 1, 1, 1).weights == 2 * 67425001472.0);
  CHECK(inference_memory(m67, 1, 3, 4096, 1, 1).kv_cache == 3 * 4096 * 2.0 * 95 * 8 * 128);
  CHECK(inference_memory(m67, 8, 1, 1).kv_cache == 2 * 95 * 128 * 2);
  CHECK(inference_memory(m67, 16, 1, 1).kv_cache == inference_memory(m67, 8, 1, 1).kv_cache);  // repeated
  Model mha = m67;
  mha.n_kv_heads = 64;
  CHECK(inference_memory(mha, 1, 1, 1).kv_cache == 8 * inference_memory(m67, 1, 1, 1).kv_cache);
}

TEST_CASE("why it does not fit: the stage, the sum, and what is largest") {
  RankMemory m;
  m.weights = 10e9;
  m.optimizer = 19.2e9;
  m.activations = 62.1e9;
  m.in_flight = 8;
  Machine h100;
  h100.hbm_bytes = 80e9;
  CHECK(why_it_does_not_fit(m, h100, 0) ==
        "stage 0 needs 91.3 GB of 80.0 GB: 62.1 GB of activations, 8 micro-batches in flight");
  m.activations = 5e9;
  CHECK(why_it_does_not_fit(m, h100, 0) == "");
  m.optimizer = 100e9;
  CHECK(why_it_does_not_fit(m, h100, 3) == "stage 3 needs 115.0 GB of 80.0 GB: 100.0 GB of optimizer states");

  Scenario s = on("deepseek-llm-67b", 64, 8, 2);
  int64_t stage = -1;
  const RankMemory worst = worst_rank_memory(s, machine(s), &stage);
  CHECK(why_it_does_not_fit(worst, machine(s), stage).starts_with("stage "));
}
