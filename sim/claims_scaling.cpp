// Claims about the recipe: scaling laws, the learning rate, communication.
#include <cmath>
#include <limits>

#include "ref/core/settings.hpp"
#include "sim/claims_parts.hpp"
#include "sim/collective.hpp"
#include "sim/scaling/laws.hpp"
#include "sim/scaling/text.hpp"

namespace dsllm::sim {

namespace {

// Table 2: 2304 and 4608 sequences of 4096.
Claim batch_of_the_formula(const Model& model, double tokens, const char* name, int64_t sequences) {
  const double c = training_flops(model, tokens), batch = optimal_batch_tokens.at(c);
  const double computed = batch / static_cast<double>(model.seq_len),
               printed = static_cast<double>(sequences);
  return {fmt::format("batch-{}", name),
          fmt::format("Equation (1) gives the {} model's batch of {} sequences", name, sequences),
          "B_opt(C) in sequences",
          "sequences",
          printed - 0.5,
          printed + 0.5,
          computed,
          {fmt::format("C = M D = {}; B = {} = {} tokens", compact(c), with_numbers(optimal_batch_tokens, c),
                       compact(batch)),
           fmt::format("{} / {} = {:.0f} sequences, {:+.1f}% of {}", compact(batch), model.seq_len, computed,
                       100 * (computed / printed - 1), sequences)},
          "The formula gives the size; the batch that was used is a round number near it."};
}

Claim rate_of_the_formula(const Model& model, double tokens, const char* name, double rate) {
  const double c = training_flops(model, tokens), computed = optimal_learning_rate.at(c);
  return {fmt::format("learning-rate-{}", name),
          fmt::format("Equation (1) gives the {} model's learning rate of {:.1e}", name, rate),
          "eta_opt(C)",
          "",
          rate - 0.5e-5,
          rate + 0.5e-5,
          computed,
          {fmt::format("C = M D = {}; eta = {} = {:.3e}", compact(c), with_numbers(optimal_learning_rate, c),
                       computed)},
          "Table 2 prints the formula's result in two digits."};
}

Claim rate_falls_by_31_6() {
  const LrSchedule schedule;
  const LrStage& first = schedule.stages.front();
  const double fall = 100 * (1 - first.factor);
  return {"rate-falls-by-31.6",
          fmt::format("After {:.0f}% of the tokens the learning rate falls by 31.6%", 100 * first.fraction),
          "fall of the learning rate at the first step of the schedule",
          "%",
          31.55,
          31.65,
          fall,
          {fmt::format("the factor is sqrt(0.1) = {:.4f}: to {:.1f}%, a fall by {:.1f}%", first.factor,
                       100 * first.factor, fall),
           fmt::format("then to {:.0f}% after {:.0f}%: two equal drops", 100 * schedule.stages.back().factor,
                       100 * schedule.stages.back().fraction)},
          "It falls to 31.6%, not by it."};
}

Claim compute_optimal(const Model& model, double tokens, const char* name) {
  const double n = static_cast<double>(parameters(model).total()), ratio = tokens / n;
  return {fmt::format("chinchilla-{}", name),
          fmt::format("The {} model was trained on Chinchilla's 20 tokens a parameter", name),
          "tokens a parameter",
          "",
          19.5,
          20.5,
          ratio,
          {fmt::format("{} / {} = {:.1f}", compact(tokens), compact(n), ratio)},
          "A smaller model trained for longer costs less to use."};
}

Claim same_exponents() {
  const ScalingData& ours = find_scaling_data("deepseek-current");
  const double m = std::pow(10, ours.a), d = std::pow(10, ours.b);
  return {"ten-times-model",
          "Ten times the compute should make the model 5.4 times larger (Kaplan), whatever the data",
          "M_opt(10 C) / M_opt(C) on the paper's data",
          "x",
          5.35,
          5.45,
          m,
          {fmt::format("Kaplan 10^{:g} = {:.2f}; Chinchilla 10^{:g} = {:.2f}; here 10^{:g} = {:.2f}, tokens "
                       "10^{:g} = {:.2f}",
                       find_scaling_data("kaplan").a, std::pow(10, find_scaling_data("kaplan").a),
                       find_scaling_data("chinchilla").a, std::pow(10, find_scaling_data("chinchilla").a),
                       ours.a, m, ours.b, d)},
          "The better the data, the more of a budget should go into the model (table 4)."};
}

Claim zero_communication(const char* name, const char* statement, Interval claimed, bool shards_weights,
                         std::string remark) {
  Cluster cluster;
  cluster.gpu = "h800-sxm";
  cluster.gpus = 8;
  Constants constants;  // bytes are compared: the same bandwidth for all, so that seconds stand for them
  constants.hopper.gather_slowdown = 1;
  const Rates rates = rates_of(machine_of(cluster, Recipe{}), constants);
  const Group group = group_of(rates.machine, cluster.gpus, 1);
  const double bytes = 1e12;  // of one vector of all parameters; so long that latency does not count
  const double plain = ring_all_reduce_s(rates, group, bytes);
  const double gather = all_gather_s(rates, group, bytes), scatter = reduce_scatter_s(rates, group, bytes);
  const double zero = scatter + (shards_weights ? 2 : 1) * gather;
  return {
      name,
      statement,
      fmt::format("its bytes over those of an all-reduce of the gradients, {} GPUs in a ring", group.size),
      "x",
      claimed.low,
      claimed.high,
      zero / plain,
      {fmt::format("all-reduce 2 (n-1)/n S, reduce-scatter and all-gather (n-1)/n S each, n = {}",
                   group.size),
       fmt::format("(reduce-scatter + {} all-gather) / all-reduce = {:.2f}", shards_weights ? 2 : 1,
                   zero / plain)},
      std::move(remark)};
}

}  // namespace

std::vector<Claim> scaling_claims(const ClaimModels& m) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return {
      rate_of_the_formula(m.small, m.tokens, "7B", 4.2e-4),
      rate_of_the_formula(m.large, m.tokens, "67B", 3.2e-4),
      batch_of_the_formula(m.small, m.tokens, "7B", 2304),
      batch_of_the_formula(m.large, m.tokens, "67B", 4608),
      rate_falls_by_31_6(),
      compute_optimal(m.small, m.tokens, "7B"),
      compute_optimal(m.large, m.tokens, "67B"),
      same_exponents(),
      zero_communication(
          "zero-1-communication", "ZeRO-1 sends more bytes than plain data parallelism", {1.005, infinity},
          false,
          fmt::format(
              "The same bytes in two halves. With weights gathered in bf16, {} bytes a parameter on the wire "
              "where an all-reduce in fp32 has {}.",
              Recipe{}.reduce_bytes + Recipe{}.weight_bytes, 2 * Recipe{}.reduce_bytes)),
      zero_communication("zero-3-communication",
                         "ZeRO-3 sends half as many bytes again as plain data parallelism", {1.45, 1.55},
                         true,
                         "Weights are gathered for the forward pass and once more for the backward pass.")};
}

}  // namespace dsllm::sim
