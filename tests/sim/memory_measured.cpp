#include "sim/memory.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace dsllm::sim;

namespace {

Machine machine(const Scenario& s) {
  return machine_of(s.cluster, s.recipe);
}

}  // namespace

// Peak memory as Qi et al. (arXiv 2401.10241, table 4) report it, in GiB, GPT with dropout and without flash attention. Of
// memory_constants only the fragmentation touches them.
TEST_CASE("measured: 1F1B, ZB-H1 and ZB-H2 on eight A100s") {
  const struct {
    int64_t n_layers, d_model, n_heads, micro_batch;
    ScheduleKind schedule;
    int64_t interleave;
    double gib;
  } rows[] = {
      {22, 2304, 24, 6, ScheduleKind::one_f_one_b, 1, 30},
      {22, 2304, 24, 6, ScheduleKind::zb_h1, 1, 32},
      {22, 2304, 24, 6, ScheduleKind::zb_h2, 1, 59},
      {22, 2304, 24, 6, ScheduleKind::interleaved, 3, 40},
      {30, 4096, 32, 3, ScheduleKind::one_f_one_b, 1, 39},
      {30, 4096, 32, 3, ScheduleKind::zb_h1, 1, 42},
      {30, 4096, 32, 3, ScheduleKind::zb_h2, 1, 70},
      {30, 4096, 32, 3, ScheduleKind::interleaved, 4, 48},
  };
  double error = 0;
  for (const auto& row : rows) {
    Scenario s;
    s.model = find_model("gpt2-xl");
    s.model.n_layers = row.n_layers;
    s.model.d_model = row.d_model;
    s.model.n_heads = s.model.n_kv_heads = row.n_heads;
    s.model.d_head = row.d_model / row.n_heads;
    s.model.d_ff = 4 * row.d_model;
    s.model.vocab_size = 32000;  // gives the sizes by which the paper names its models
    s.cluster.gpus = s.layout.pp = 8;
    s.layout.schedule = row.schedule;
    s.layout.interleave = row.interleave;
    s.layout.micro_batch = row.micro_batch;
    s.layout.global_batch = 64 * row.micro_batch;
    s.recipe.flash_attention = s.recipe.in_place_cross_entropy = false;
    s.recipe.dropout = true;
    s = checked(s);
    const double ratio = worst_rank_memory(s, machine(s)).allocated() / (row.gib * 0x1p30);
    CAPTURE(to_string(row.schedule));
    CAPTURE(ratio);
    CHECK(std::abs(ratio - 1) < 0.17);
    error += std::abs(ratio - 1) / 8;
  }
  MESSAGE("mean error " << 100 * error << "%");
  CHECK(error < 0.1);
}

// Peak memory of nanotron, in GiB, bf16 with fp32 accumulation, sequences of 4096, 256 a step (Ultra-Scale Playbook
// benchmark). memory_constants were chosen on these runs among others; so this keeps them, and does not prove them.
TEST_CASE("measured: 1B and 8B models without a pipeline on H100s") {
  const struct {
    int64_t n_layers, d_model, d_ff, dp, tp, zero, micro_batch;
    double gib;
  } rows[] = {
      {16, 2048, 8192, 8, 1, 0, 1, 36.7},  {16, 2048, 8192, 8, 1, 1, 1, 24.2},
      {16, 2048, 8192, 8, 1, 0, 2, 50.2},  {16, 2048, 8192, 4, 2, 0, 1, 19.5},
      {16, 2048, 8192, 4, 2, 0, 8, 68.3},  {16, 2048, 8192, 4, 4, 1, 2, 10.2},
      {32, 4096, 14336, 4, 2, 1, 1, 65.2}, {32, 4096, 14336, 4, 4, 0, 1, 51.5},
      {32, 4096, 14336, 4, 4, 1, 4, 58.3}, {32, 4096, 14336, 1, 8, 0, 1, 24.4},
      {32, 4096, 14336, 4, 8, 1, 1, 17.5}, {32, 4096, 14336, 2, 8, 0, 8, 66.5},
  };
  double error = 0;
  for (const auto& row : rows) {
    Scenario s;
    s.model = Model{row.n_layers, row.d_model,         32,     32,  row.d_model / 32, row.d_ff,
                    true,         row.d_model == 2048, 131072, 4096};
    s.cluster.gpus = row.dp * row.tp;
    s.layout.tp = row.tp;
    s.layout.sp = row.tp > 1;
    s.layout.zero = row.zero;
    s.layout.micro_batch = row.micro_batch;
    s.layout.global_batch = 256;
    s.recipe.in_place_cross_entropy = false;
    s.recipe.eager = true;  // SwiGLU of separate kernels
    s = checked(s);
    const double ratio = rank_memory(s, machine(s), 0).allocated() / (row.gib * 0x1p30);
    CAPTURE(row.d_model);
    CAPTURE(row.tp);
    CAPTURE(ratio);
    CHECK(std::abs(ratio - 1) < 0.17);
    error += std::abs(ratio - 1) / 12;
  }
  MESSAGE("mean error " << 100 * error << "%");
  CHECK(error < 0.1);
}
