#include "sim/model_cost.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <tuple>

#include "ref/core/config.hpp"
#include "ref/core/error.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

constexpr FlopConvention full_without_head{false, false, Recompute::none};
constexpr FlopConvention full_with_head{false, true, Recompute::none};

// A row of table 3: MHA, and an MLP of 8 d^2 weights, as eq. 2 assumes (three matrices of 8/3 d would not be whole).
Model table_3_row(int64_t n_layers, int64_t d_model) {
  Model m;
  m.n_layers = n_layers;
  m.d_model = d_model;
  m.d_head = 128;
  m.n_heads = m.n_kv_heads = d_model / 128;
  m.d_ff = 4 * d_model;
  m.gated = false;
  m.vocab_size = 102400;
  m.seq_len = 4096;
  return m;
}

Model megatron(int64_t n_layers, int64_t d_model, int64_t n_heads, int64_t vocab_size) {
  Model m = find_model("megatron-22b");
  m.n_layers = n_layers;
  m.d_model = d_model;
  m.n_heads = m.n_kv_heads = n_heads;
  m.d_head = d_model / n_heads;
  m.d_ff = 4 * d_model;
  m.vocab_size = vocab_size;
  return m;
}

// |a / b - 1|; NaN stays NaN.
double off(double a, double b) {
  return std::abs(a / b - 1);
}

}  // namespace

TEST_CASE("parameters are those of the published weights") {
  const auto total = [](const char* name) { return parameters(find_model(name)).total(); };
  CHECK(total("deepseek-llm-7b") == 6'910'365'696);
  CHECK(total("deepseek-llm-67b") == 67'425'001'472);
  CHECK(total("llama-65b") == 65'285'660'672);
  CHECK(total("llama-2-7b") == 6'738'415'616);
  CHECK(total("llama-2-13b") == 13'015'864'320);
  CHECK(total("llama-2-70b") == 68'976'648'192);
  CHECK(total("llama-3-8b") == 8'030'261'248);
  CHECK(total("llama-3-70b") == 70'553'706'496);
  CHECK(total("llama-3-405b") == 405'853'388'800);
  CHECK(total("mistral-7b") == 7'241'732'096);
  CHECK(total("gpt2-xl") == 1'557'611'200);
  CHECK(off(static_cast<double>(total("gpt3-175b")), 174.6e9) < 1e-3);  // arXiv 2005.14165, table D.1
  CHECK(off(static_cast<double>(total("palm-540b")), 540.35e9) < 1e-4);
}

TEST_CASE("every model by name is valid, and agrees with ref's count where ref has it") {
  for (const std::string& name : model_names()) CHECK_NOTHROW(find_model(name).validate());
  for (const std::string& name : model_presets())
    if (name.starts_with("deepseek")) {
      const auto rows = count_parameters(model_preset(name));
      CHECK(parameters(find_model(name)).total() == rows.back().total);
    }
  CHECK_THROWS_AS(find_model("gpt5"), ValueError);
}

TEST_CASE("table 3 of the paper: M, 6 N1 and 6 N2 of all seven rows") {
  const struct {
    int64_t n_layers, d_model;
    double n1, n2, m, n1_over_m, n2_over_m;  // printed: the ratios to two digits
  } rows[] = {
      {8, 512, 25165824, 77594624, 352321536, 0.43, 1.32},
      {12, 768, 84934656, 163577856, 962592768, 0.53, 1.02},
      {24, 1024, 301989888, 406847488, 3019898880, 0.60, 0.81},
      {24, 2048, 1207959552, 1417674752, 9663676416, 0.75, 0.88},
      {32, 4096, 6442450944, 6861881344, 45097156608, 0.85, 0.91},
      {40, 5120, 12582912000, 13107200000, 85563801600, 0.88, 0.92},
      {80, 8192, 64424509440, 65263370240, 418759311360, 0.92, 0.94},
  };
  for (const auto& row : rows) {
    const Model m = table_3_row(row.n_layers, row.d_model);
    CAPTURE(row.d_model);
    CHECK(paper_m(m) == row.m);
    CHECK(paper_6n1(m) == 6 * row.n1);
    CHECK(paper_6n2(m) == 6 * row.n2);
    // The paper cuts off (0.857 is printed as 0.85), so within a unit of the last digit.
    CHECK(std::abs(paper_6n1(m) / paper_m(m) - row.n1_over_m) < 0.01);
    CHECK(std::abs(paper_6n2(m) / paper_m(m) - row.n2_over_m) < 0.01);
    // On a model of the shape that eq. 2 assumes, the count by parts is the same number.
    CHECK(flops_per_token(m, full_without_head).total() == row.m);
  }
}

TEST_CASE("compute of both models: M of the real shape times two trillion tokens") {
  const double c7 = flops_per_token(find_model("deepseek-llm-7b"), full_without_head).total() * 2e12;
  const double c67 = flops_per_token(find_model("deepseek-llm-67b"), full_without_head).total() * 2e12;
  CHECK(c7 == 42467328000.0 * 2e12);    // 8.493e22
  CHECK(c67 == 432726343680.0 * 2e12);  // 8.655e23
  // Eq. 2 takes the 67B model for one with MHA and is 15% above.
  CHECK(paper_m(find_model("deepseek-llm-67b")) == 497276682240.0);
  CHECK(paper_m(find_model("deepseek-llm-7b")) == 42278584320.0);
}

TEST_CASE("FLOPs by convention") {
  const Model m = find_model("deepseek-llm-67b");
  const Flops causal = flops_per_token(m, {true, true, Recompute::none});
  const Flops full = flops_per_token(m, full_with_head);
  const double core = 95 * 4 * 8192.0 * 4096;  // of the forward pass, full
  CHECK(full.forward - causal.forward == core / 2);
  CHECK(full.backward_input - causal.backward_input == core);
  CHECK(full.backward_weight == causal.backward_weight);
  CHECK(full.total() == 3 * full.forward);
  const double head = 2 * 102400 * 8192.0;
  CHECK(full.total() - flops_per_token(m, full_without_head).total() == 3 * head);
  CHECK(flops_per_token(m, {false, true, Recompute::selective}).recompute == core);
  CHECK(flops_per_token(m, {false, true, Recompute::full}).recompute == full.forward - head);
  CHECK(full.total() == 6.0 * static_cast<double>(parameters(m).multiplied(true)) + 3 * core);
  CHECK(step_flops(m, 4608, full_with_head) == 4608 * 4096.0 * full.total());
  const LayerFlops layer = forward_layer_flops_per_token(m, false);
  CHECK(layer.qkv == 2 * 8192.0 * (64 + 16) * 128);
  CHECK(layer.attention_output == 2 * 8192.0 * 8192);
  CHECK(layer.mlp_in == 4 * 8192.0 * 22016);
  CHECK(layer.mlp_down == 2 * 8192.0 * 22016);
  CHECK(to_string(FlopConvention{}) == "causal attention, with the head, model FLOPs");
  CHECK(to_string(FlopConvention{false, false, Recompute::full}) ==
        "full attention, without the head, hardware FLOPs of full recomputation");
}

TEST_CASE("a tied head is multiplied with but kept once, and a head counts with any number of heads") {
  Model m = find_model("llama-3-8b");
  const Parameters untied = parameters(m);
  m.tied = true;
  const Parameters tied = parameters(m);
  CHECK(untied.total() - tied.total() == 128256 * 4096);
  CHECK(untied.multiplied(true) == tied.multiplied(true));
  m.n_kv_heads = 1;
  CHECK(parameters(m).layer.qkv == 4096 * (32 + 2) * 128);
}

TEST_CASE(
    "Narayanan et al.: eq. 2 is the count of a GPT, less its final norm; eq. 3 counts full recomputation") {
  for (const auto& [n_layers, d_model, n_heads] :
       {std::tuple{24, 2304, 24}, {30, 3072, 32}, {36, 4096, 32}, {40, 6144, 48}, {48, 8192, 64}}) {
    const Model m = megatron(n_layers, d_model, n_heads, 51200);
    const double exact = static_cast<double>(parameters(m).total());
    CHECK(off(narayanan_parameters(m), exact - 2 * d_model) < 1e-14);
    const double flops = step_flops(m, 512, {false, true, Recompute::full});
    CHECK(off(narayanan_step_flops(m, 512), flops) < 1e-14);
  }
  CHECK(off(narayanan_parameters(megatron(48, 8192, 64, 51200)), 39.1e9) < 2e-3);  // table 1
}

TEST_CASE(
    "Korthikanti et al.: eq. 7 is the count by parts, and eq. 7 and 8 give table 5's utilization from its "
    "times") {
  const Model m = find_model("megatron-22b");
  CHECK(off(korthikanti_model_flops(m, 4), step_flops(m, 4, full_with_head)) < 1e-14);
  // Eq. 8 adds 12 B L s^2 h for what is computed twice, which is three times the forward pass of attention's core.
  const double twice = 2048 * 4 * flops_per_token(m, {false, true, Recompute::selective}).recompute;
  CHECK(off(korthikanti_hardware_flops(m, 4), korthikanti_model_flops(m, 4) + 3 * twice) < 1e-14);

  const struct {
    Model model;
    int64_t batch, gpus;
    double seconds, mfu, hfu;  // table 5: seconds to two digits, shares to 0.1%
  } rows[] = {
      {m, 4, 8, 1.10, 0.415, 0.437},
      {megatron(96, 12288, 96, 51200), 64, 64, 13.75, 0.514, 0.528},
      {find_model("megatron-530b"), 280, 280, 37.83, 0.560, 0.570},
      {find_model("megatron-1t"), 512, 512, 71.49, 0.563, 0.570},
  };
  for (const auto& row : rows) {
    const double mfu =
        utilization(korthikanti_model_flops(row.model, row.batch), row.seconds, row.gpus, 312e12);
    const double hfu =
        utilization(korthikanti_hardware_flops(row.model, row.batch), row.seconds, row.gpus, 312e12);
    CHECK(std::abs(mfu - row.mfu) < 0.002);
    CHECK(std::abs(hfu - row.hfu) < 0.002);
  }
  // To four digits, 22B.
  CHECK(std::abs(utilization(korthikanti_model_flops(m, 4), 1.10, 8, 312e12) - 0.4165) < 5e-5);
  CHECK(std::abs(utilization(korthikanti_hardware_flops(m, 4), 1.10, 8, 312e12) - 0.4381) < 5e-5);
}

TEST_CASE("MegaScale (arXiv 2402.15627): Megatron-LM's row, 175B on 256 GPUs") {
  const Model m = megatron(96, 12288, 128, 64000);
  CHECK(std::abs(utilization(korthikanti_model_flops(m, 768), 40.0, 256, 312e12) - 0.530) < 5e-4);
}

TEST_CASE("PaLM's convention is 6 N and full attention") {
  const Model m = find_model("palm-540b");
  const double n = static_cast<double>(parameters(m).total());
  CHECK(palm_flops_per_token(m) == 6 * n + 12.0 * 118 * 48 * 256 * 2048);
  // Its MFU of 46.2% (appendix B): 238.3 K tokens/s on 6144 TPU v4 of 275 TFLOP/s, without recomputation.
  CHECK(std::abs(utilization(palm_flops_per_token(m) * 238.3e3, 1, 6144, 275e12) - 0.462) < 1e-3);
}

TEST_CASE("utilization names what cannot be") {
  CHECK_THROWS_AS(utilization(1, 0, 1, 1), ValueError);
  CHECK_THROWS_AS(utilization(1, std::nan(""), 1, 1), ValueError);
  CHECK_THROWS_AS(utilization(1, 1, 0, 1), ValueError);
  CHECK_THROWS_AS(utilization(1, 1, 1, -1), ValueError);
}

TEST_CASE("one layer, one head, one token") {
  Model m;
  m.n_layers = m.n_heads = m.n_kv_heads = m.d_head = m.d_model = m.d_ff = m.vocab_size = m.seq_len = 1;
  m.validate();
  CHECK(parameters(m).total() == 4 + 3 + 3 + 2);  // attention, MLP, norms, vocabulary
  CHECK(flops_per_token(m, full_with_head).forward == 2 * (4 + 3 + 1) + 4);
}
