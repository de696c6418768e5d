#include "sim/layer_time.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/model_cost.hpp"
#include "tests/sim/close.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

// A machine whose kernels reach the whole peak and start at once, with memory and links so fast that only products count.
Rates only_products() {
  Machine m;
  m.gpus = 64;
  m.gpus_per_node = 8;
  m.flops_per_s = 1e12;
  m.hbm_bytes = 80e9;
  m.hbm_bytes_per_s = 1e30;
  m.node_bytes_per_s = m.network_bytes_per_s = 1e30;
  m.compute_capability = 90;
  m.sm_count = 100;
  Constants c;
  c.hopper = {1, 1, 1, 0, 1, 0, 1};
  c.gemm_half_k = c.gemm_lost_waves = 0;
  c.attention_backward = 2;
  c.hbm_fraction = 1;
  c.launch_s = c.network_hop_s = c.host_layer_s = c.host_collective_s = c.host_far_rank_s = c.step_s = 0;
  return rates_of(m, c);
}

Scenario small_model() {
  Scenario s;
  s.model.n_layers = 4;
  s.model.d_model = 1024;
  s.model.n_heads = 8;
  s.model.n_kv_heads = 4;
  s.model.d_head = 128;
  s.model.d_ff = 2816;
  s.model.vocab_size = 32000;
  s.model.seq_len = 512;
  s.cluster.gpus = 8;
  s.layout.dp = 1;
  s.layout.micro_batch = 2;
  s.layout.global_batch = 8;
  return s;
}

}  // namespace

TEST_CASE("with nothing but products, a block takes its FLOPs") {
  const Rates r = only_products();
  Scenario s = small_model();
  const double tokens = 2 * 512;
  const LayerFlops f = forward_layer_flops_per_token(s.model, true);
  const LayerTime t = layer_time(r, s);
  CHECK(t.forward_s == nearly(tokens * f.total() / 1e12));
  CHECK(t.backward_s == nearly(2 * t.forward_s));
  CHECK(t.backward_weight_s == nearly(tokens * f.matrices() / 1e12));
  CHECK(t.backward_input_s + t.backward_weight_s == nearly(t.backward_s));
  CHECK(t.recompute_s == 0);
  CHECK(t.tp_forward_s == 0);

  // Recomputation does the core, or all of it, once more.
  s.layout.recompute = Recompute::selective;
  CHECK(layer_time(r, s).backward_s - t.backward_s == nearly(tokens * f.attention_core / 1e12));
  s.layout.recompute = Recompute::full;
  CHECK(layer_time(r, s).backward_s - t.backward_s == nearly(t.forward_s));

  // tp and cp divide it.
  s.layout.recompute = Recompute::none;
  s.layout.tp = 4;
  CHECK(layer_time(r, s).forward_s == nearly(t.forward_s / 4));
  s.layout.tp = 1;
  s.layout.cp = 2;
  CHECK(layer_time(r, s).forward_s == nearly(t.forward_s / 2));

  // The head: one product forward, two backward.
  s.layout.cp = 1;
  const EndsTime ends = ends_time(r, s);
  const double head = tokens * forward_head_flops_per_token(s.model) / 1e12;
  CHECK(ends.head_forward_s == nearly(head));
  CHECK(ends.head_backward_input_s + ends.head_backward_weight_s == nearly(2 * head));
}

TEST_CASE("collectives of tensor parallelism: four all-reduces, or as many pairs of gather and scatter") {
  Rates r = only_products();
  r.machine.node_bytes_per_s = 1e9;
  Scenario s = small_model();
  s.layout.tp = 4;
  s.recipe.overlap_tp = false;
  const double vector = 2 * 2 * 512 * 1024;  // bytes of the micro-batch's activations
  const double products = [&] {
    Scenario fast = s;
    return layer_time(only_products(), fast).forward_s;
  }();
  const LayerTime reduce = layer_time(r, s);
  CHECK(reduce.tp_forward_s == nearly(2 * 2 * 0.75 * vector / 1e9));
  CHECK(reduce.forward_s == nearly(products + reduce.tp_forward_s));
  s.layout.sp = true;
  const LayerTime scatter = layer_time(r, s);
  CHECK(scatter.tp_forward_s == nearly(reduce.tp_forward_s));  // the same bytes
  CHECK(scatter.tp_exposed_forward_s == nearly(scatter.tp_forward_s));

  // Cut into pieces, products hide them; no schedule is faster than either stream alone.
  s.recipe.overlap_tp = true;
  const LayerTime pieces = layer_time(r, s);
  CHECK(pieces.forward_s < scatter.forward_s);
  CHECK(pieces.forward_s >= std::max(products, pieces.tp_forward_s));
  CHECK(pieces.backward_s <= scatter.backward_s);
}

TEST_CASE("two streams: a step starts when its stream is free and what it needs is there") {
  TwoStreams t;
  CHECK(t.compute(3) == 3);
  CHECK(t.network(1) == 1);
  CHECK(t.network(1, 3) == 4);  // waits for what the compute stream made
  CHECK(t.compute(1, 1) == 4);  // its stream is busy until 3
  CHECK(t.compute(1, 10) == 11);
  CHECK(t.end() == 11);
}

TEST_CASE("a layer takes no less than its launches") {
  Rates r = only_products();
  r.constants.host_layer_s = 30;
  Scenario s = small_model();
  CHECK(layer_time(r, s).forward_s < 1);
  s.recipe.eager = true;
  LayerTime t = layer_time(r, s);
  CHECK(t.forward_s == nearly(10));
  CHECK(t.backward_s == nearly(20));
  CHECK(t.backward_input_s + t.backward_weight_s == nearly(20));
  // Far neighbours make tensor-parallel collectives slow, near ones do not.
  r.constants.host_far_rank_s = 1;
  s.layout.tp = 8;
  s.layout.sp = true;
  CHECK(layer_time(r, s).forward_s == nearly(10));
  s.layout.pp = 2;
  CHECK(layer_time(r, s).forward_s == nearly((30 + 10 * 8) / 3.0));
  s.layout.tp = 4;  // 2 stages of 4: one node
  CHECK(layer_time(r, s).forward_s == nearly(10));
}

TEST_CASE("efficiency rises with every side of a matrix product and never passes the peak") {
  Machine m = only_products().machine;
  m.hbm_bytes_per_s = 3e12;
  m.flops_per_s = 989e12;
  const Rates r = rates_of(m, constants());
  CHECK(gemm_s(r, 0, 10, 10) == 0);
  double before = 0;
  for (double n = 128; n <= 16384; n *= 2) {
    const double rate = 2 * n * n * n / gemm_s(r, n, n, n) / m.flops_per_s;
    CHECK(rate > before);
    CHECK(rate < r.chip.gemm_fraction);
    before = rate;
  }
  CHECK(before > 0.8 * r.chip.gemm_fraction);
  // Short sums: k = gemm_half_k runs at half of the rate of a long one.
  Rates fast = r;
  fast.machine.hbm_bytes_per_s = 1e30;
  fast.constants.launch_s = 0;
  const double half = fast.constants.gemm_half_k;
  CHECK(gemm_s(fast, 4096, 4096, half) / half ==
        nearly(2 * gemm_s(fast, 4096, 4096, 1e9) / 1e9).epsilon(1e-5));
  CHECK(gemm_s(r, 1, 4096, 4096) >= 2 * 4096 * 4096 / (r.constants.hbm_fraction * 3e12));  // weights are read
}
