#include "sim/estimate.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/model_cost.hpp"
#include "tests/sim/close.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

Scenario scenario(const char* model, const char* gpu, int64_t gpus, int64_t batch) {
  Scenario s;
  s.model = find_model(model);
  s.cluster.gpu = gpu;
  s.cluster.gpus = gpus;
  s.layout.global_batch = batch;
  return s;
}

double step_s(const Scenario& s) {
  const Scenario c = checked(s);
  return estimate(c, machine_of(c.cluster, c.recipe)).step_s;
}

}  // namespace

TEST_CASE("one GPU, one stage, one layer, one token: everything is finite and above 0") {
  for (const bool gated : {false, true})
    for (const int64_t seq : {1, 7, 4096}) {
      Scenario s = scenario("deepseek-llm-7b", "h100-sxm", 1, 1);
      s.model.n_layers = 1;
      s.model.seq_len = seq;
      s.model.gated = gated;
      const Scenario c = checked(s);
      const Machine m = machine_of(c.cluster, c.recipe);
      const Estimate e = estimate(c, m);
      CHECK(std::isfinite(e.step_s));
      CHECK(e.step_s > 0);
      CHECK(e.time.bubble_s == 0);
      CHECK(e.time.gradients_s == 0);
      CHECK(e.worst_rank_bytes > 0);
      CHECK(model_flops_utilization(c, m, e.step_s, true) > 0);
      CHECK(model_flops_utilization(c, m, e.step_s, false) < 1);
    }
}

TEST_CASE("more of what helps never hurts") {
  Scenario s = scenario("deepseek-llm-67b", "h100-sxm", 256, 1024);
  s.layout.tp = 8;
  s.layout.pp = 4;
  s.layout.zero = 1;
  s.layout.sp = true;
  const double now = step_s(s);
  const auto with = [&](auto change) {
    Scenario t = s;
    change(t);
    return step_s(t);
  };
  CHECK(with([](Scenario& t) { t.cluster.flops_per_s = 2 * 989.5e12; }) < now);
  CHECK(with([](Scenario& t) { t.cluster.hbm_bytes_per_s = 2 * 3350e9; }) < now);
  CHECK(with([](Scenario& t) { t.cluster.node_bytes_per_s = 2 * 450e9; }) < now);
  CHECK(with([](Scenario& t) { t.cluster.network_bytes_per_s = 100e9; }) <= now);
  CHECK(with([](Scenario& t) { t.layout.recompute = Recompute::full; }) > now);
  CHECK(with([](Scenario& t) { t.recipe.overlap_tp = false; }) > now);
  CHECK(with([](Scenario& t) { t.recipe.overlap_dp = false; }) > now);
  CHECK(with([](Scenario& t) { t.model.n_layers = 96; }) > now);
  CHECK(with([](Scenario& t) { t.layout.global_batch = 2048; }) > 1.9 * now);
}

TEST_CASE("parts add up, and utilization follows from them") {
  Scenario s = scenario("deepseek-llm-67b", "h800-sxm", 1024, 4608);
  s.layout.tp = 8;
  s.layout.pp = 8;
  s.layout.zero = 1;
  s.layout.sp = true;
  s.layout.recompute = Recompute::selective;
  const Scenario c = checked(s);
  const Machine m = machine_of(c.cluster, c.recipe);
  const Estimate e = estimate(c, m);
  const StepTime& t = e.time;
  CHECK(e.step_s ==
        nearly(t.passes_s + t.bubble_s + t.gradients_s + t.weights_s + t.optimizer_s + t.other_s));
  CHECK(tokens_per_s(c, e.step_s) == nearly(4608.0 * 4096 / e.step_s));
  const double flops = flops_per_token(c.model, {.causal = true}).total() * 4608 * 4096;
  CHECK(model_flops_utilization(c, m, e.step_s, true) == nearly(flops / e.step_s / (1024 * 989.5e12)));
  CHECK(hardware_flops_utilization(c, m, e.step_s, true) > model_flops_utilization(c, m, e.step_s, true));
  // 288 micro-batches on 8 stages: about 7 / 288 of the passes, and the last stage is no slower than the others.
  CHECK(t.bubble_s / t.passes_s == nearly(7.0 / 288).epsilon(0.1));
}

TEST_CASE("gradients: the last backward pass hides them, and a step without it does not") {
  const Machine m = machine_of(scenario("deepseek-llm-7b", "h100-sxm", 64, 64).cluster, Recipe{});
  const Rates r = rates_of(m, constants());
  Scenario s = checked(scenario("deepseek-llm-7b", "h100-sxm", 64, 64));
  const LayerTime layer = layer_time(r, s);
  const TailTime hidden = tail_time(r, s, layer, 0);
  CHECK(hidden.gradients_exposed_s < hidden.gradients_s);
  CHECK(hidden.gradients_exposed_s > 0);  // the embedding's come last
  s.recipe.overlap_dp = false;
  const TailTime exposed = tail_time(r, s, layer, 0);
  CHECK(exposed.gradients_exposed_s == exposed.gradients_s);
  CHECK(exposed.gradients_s == nearly(hidden.gradients_s));
  // ZeRO 1 shards the optimizer's step and gathers the weights that it made.
  s.layout.zero = 1;
  const TailTime zero = tail_time(r, s, layer, 0);
  CHECK(zero.optimizer_s < exposed.optimizer_s / 16);
  CHECK(zero.weights_s > 0);
  CHECK(exposed.weights_s == 0);
}

TEST_CASE(
    "a rank's parameters: one rank has all, and the ranks of a replica have at least as many together") {
  Scenario s = checked(scenario("deepseek-llm-67b", "h100-sxm", 1, 1));
  CHECK(parameters_of_rank(s, 0) == 67425001472);
  CHECK(layers_of_rank(s, 0) == 95);
  s = scenario("deepseek-llm-67b", "h100-sxm", 64, 64);
  s.layout.tp = 8;
  s.layout.pp = 8;
  for (const ScheduleKind kind : {ScheduleKind::one_f_one_b, ScheduleKind::dualpipe}) {
    s.layout.schedule = kind;
    const Scenario c = checked(s);
    double sum = 0;
    int64_t layers = 0;
    for (int64_t stage = 0; stage < 8; ++stage) {
      sum += 8 * parameters_of_rank(c, stage);
      layers += layers_of_rank(c, stage);
    }
    const double copies = kind == ScheduleKind::dualpipe ? 2 : 1;
    CHECK(layers == 95 * copies);
    CHECK(sum >= copies * 67425001472);
    CHECK(sum < copies * 67425001472 * 1.001);  // norms are on every rank of tp
  }
}

TEST_CASE("chunks: the head is on the last part, and ZeRO's traffic slows the passes that wait for it") {
  // Links so slow that a layer's weights take longer than its kernels.
  Scenario s = scenario("deepseek-llm-7b", "h100-sxm", 16, 64);
  s.cluster.node_bytes_per_s = s.cluster.network_bytes_per_s = 1e9;
  s.layout.pp = 2;
  s = checked(s);
  const Rates rates = rates_of(machine_of(s.cluster, s.recipe), constants());
  const LayerTime layer = layer_time(rates, s);
  const EndsTime ends = ends_time(rates, s);
  Pipeline p;
  pipeline_of(rates, s, p);
  const double first = static_cast<double>(layers_of_stage(s.model, s.layout, 0));
  const double last = static_cast<double>(layers_of_stage(s.model, s.layout, 1));
  CHECK(p.times[0].forward_s == nearly(first * layer.forward_s + ends.embedding_forward_s));
  CHECK(p.times[1].forward_s == nearly(last * layer.forward_s + ends.head_forward_s));
  CHECK(p.times[1].full_backward_s() ==
        nearly(last * layer.backward_s + ends.head_backward_input_s + ends.head_backward_weight_s));

  const Group group = gradient_group(rates.machine, s.layout);
  const double weights = layer_parameters_of_rank(s);
  const double gather = all_gather_s(rates, group, 2 * weights),
               scatter = reduce_scatter_s(rates, group, 4 * weights);
  REQUIRE(gather > layer.backward_s);
  // A pass waits for its first layer's weights, then for each next one's, and ends with kernels.
  s.layout.zero = 2;
  pipeline_of(rates, s, p);
  CHECK(p.times[0].forward_s == nearly(first * layer.forward_s + ends.embedding_forward_s));
  CHECK(p.times[0].full_backward_s() ==
        nearly(first * scatter + layer.backward_s + ends.embedding_backward_s));
  s.layout.zero = 3;
  pipeline_of(rates, s, p);
  CHECK(p.times[0].forward_s == nearly(first * gather + layer.forward_s + ends.embedding_forward_s));
  CHECK(p.times[0].full_backward_s() ==
        nearly(first * (gather + scatter) + layer.backward_s + ends.embedding_backward_s));
}

TEST_CASE("a step takes what the program needs once, whatever the layout") {
  const Scenario s = checked(scenario("deepseek-llm-7b", "h100-sxm", 8, 8));
  Constants slow = constants();
  slow.step_s += 10;
  const Machine m = machine_of(s.cluster, s.recipe);
  CHECK(estimate(s, m, slow).step_s == nearly(estimate(s, m).step_s + 10));
}
