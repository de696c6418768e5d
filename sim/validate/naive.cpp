#include "sim/validate/naive.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ref/core/error.hpp"

namespace dsllm::sim {

namespace {

double layer_matrices(const Model& m) {
  const auto d = static_cast<double>(m.d_model), q = static_cast<double>(m.q_dim());
  const auto kv = static_cast<double>(m.kv_dim()), f = static_cast<double>(m.d_ff);
  return d * (q + 2 * kv) + q * d + (m.gated ? 3 : 2) * d * f;
}

}  // namespace

double naive_ideal_s(const Scenario& s) {
  const Model& m = s.model;
  const auto layers = static_cast<double>(m.n_layers), seq = static_cast<double>(m.seq_len);
  const double of_layers = layers * (6 * layer_matrices(m) + 12 * static_cast<double>(m.q_dim()) * seq) *
                           (s.layout.recompute == Recompute::full ? 4.0 / 3 : 1);
  const double of_head = 6 * static_cast<double>(m.d_model) * static_cast<double>(m.vocab_size);
  const double tokens = static_cast<double>(s.layout.global_batch) * seq;
  const Machine machine = machine_of(s.cluster, s.recipe);
  const double bubble = static_cast<double>(s.layout.pp - 1) /
                        static_cast<double>(s.layout.interleave * s.layout.micro_batches());
  return tokens * (of_layers + of_head) / (static_cast<double>(machine.gpus) * machine.flops_per_s) *
         (1 + bubble);
}

double fitted_efficiency(std::span<const double> ideal_s, std::span<const double> measured_s) {
  if (ideal_s.size() != measured_s.size())
    throw ShapeError("fitted_efficiency",
                     "as many ideal times as measured ones, " + std::to_string(measured_s.size()),
                     std::to_string(ideal_s.size()));
  if (ideal_s.empty()) throw ValueError("fitted_efficiency", "at least one measurement", "none");
  std::vector<double>
      ratios;  // r_i = ideal / measured: both the value and the weight, since |r / e - 1| = r |1/e - 1/r|
  double total = 0;
  for (size_t i = 0; i < ideal_s.size(); ++i) {
    const double r = ideal_s[i] / measured_s[i];
    if (!(r > 0)) throw ValueError("fitted_efficiency", "times above 0", std::to_string(r));
    ratios.push_back(r);
    total += r;
  }
  std::sort(ratios.begin(), ratios.end());
  double below = 0;
  for (const double r : ratios) {
    below += r;
    if (below >= 0.5 * total) return r;
  }
  return ratios.back();
}

double naive_memory_bytes(const Scenario& s) {
  const Model& m = s.model;
  const Layout& l = s.layout;
  const double vocabulary = static_cast<double>(m.d_model) * static_cast<double>(m.vocab_size);
  const double parameters =
      static_cast<double>(m.n_layers) * layer_matrices(m) + (m.tied ? 1 : 2) * vocabulary;
  const auto dp = static_cast<double>(l.dp * l.cp);
  const double whole = l.zero == 0 ? 18 : l.zero == 1 ? 6 : l.zero == 2 ? 2 : 0;
  const double state = parameters * (whole + (18 - whole) / dp) / static_cast<double>(l.tp * l.pp);
  const int64_t tokens = m.seq_len / l.cp * l.micro_batch;
  const double tensor = static_cast<double>(tokens) * static_cast<double>(m.d_model);
  const double of_layer = (l.recompute == Recompute::full ? 2 : 34 / static_cast<double>(l.tp)) * tensor;
  return state + of_layer * static_cast<double>(m.n_layers) / static_cast<double>(l.pp) *
                     static_cast<double>(std::min(l.pp, l.micro_batches()));
}

}  // namespace dsllm::sim
