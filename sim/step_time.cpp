#include "sim/step_time.hpp"

#include <algorithm>

#include "sim/memory.hpp"
#include "sim/schedule/events.hpp"

namespace dsllm::sim {

namespace {

// What ZeRO moves for a layer in every micro-batch: ZeRO 3 gathers its weights for each pass, ZeRO 2 and 3 scatter its
// gradients, of which a rank keeps its shard only. The tables of embedding and head are not counted.
struct LayerTraffic {
  double gather_s = 0, scatter_s = 0;
};

LayerTraffic zero_traffic(const Rates& rates, const Scenario& s) {
  const Group group = gradient_group(rates.machine, s.layout);
  const double parameters = layer_parameters_of_rank(s);
  LayerTraffic t;
  if (s.layout.zero >= 3)
    t.gather_s = all_gather_s(rates, group, parameters * static_cast<double>(s.recipe.weight_bytes));
  if (s.layout.zero >= 2)
    t.scatter_s = reduce_scatter_s(rates, group, parameters * static_cast<double>(s.recipe.reduce_bytes));
  return t;
}

// `layers` in a row, each waiting for its weights, which are fetched ahead.
double with_network(double layers, double compute_s, double network_s) {
  if (!(network_s > 0) || !(layers > 0)) return layers * compute_s;
  return network_s + (layers - 1) * std::max(compute_s, network_s) + compute_s;
}

}  // namespace

void pipeline_of(const Rates& rates, const Scenario& s, Pipeline& p) {
  const Layout& l = s.layout;
  const LayerTime layer = layer_time(rates, s);
  const EndsTime ends = ends_time(rates, s);
  const LayerTraffic zero = zero_traffic(rates, s);
  const bool splits = l.schedule == ScheduleKind::zb_h1 || l.schedule == ScheduleKind::zb_h2;
  p.kind = l.schedule;
  p.stages = l.pp;
  p.micro_batches = l.micro_batches();
  p.chunks = l.interleave;
  p.chunks = chunks_of(p);  // DualPipe has 2
  const Split split = split_layers(s.model, l);
  p.times.resize(static_cast<size_t>(p.stages * p.chunks));
  for (int64_t stage = 0; stage < p.stages; ++stage)
    for (int64_t chunk = 0; chunk < p.chunks; ++chunk) {
      const int64_t part = part_of(p.kind, p.stages, stage, chunk);
      const double layers = static_cast<double>(split.layers(part));
      const double backward_s = splits ? layer.backward_input_s + layer.backward_weight_s : layer.backward_s;
      ChunkTimes t;
      t.forward_s = with_network(layers, layer.forward_s, zero.gather_s);
      t.backward_weight_s = layers * layer.backward_weight_s;
      t.backward_input_s =
          with_network(layers, backward_s, zero.gather_s + zero.scatter_s) - t.backward_weight_s;
      if (part == 0) {
        t.forward_s += ends.embedding_forward_s;
        t.backward_weight_s += ends.embedding_backward_s;
      }
      if (part == split.parts - 1) {
        t.forward_s += ends.head_forward_s;
        t.backward_input_s += ends.head_backward_input_s;
        t.backward_weight_s += ends.head_backward_weight_s;
      }
      p.times[static_cast<size_t>(stage * p.chunks + chunk)] = t;
    }
  const double boundary = 2 * static_cast<double>(l.micro_batch * s.model.seq_len) /
                          static_cast<double>(l.cp) * static_cast<double>(s.model.d_model) /
                          static_cast<double>(l.sp ? l.tp : 1);
  p.send_s = l.pp > 1 ? send_s(rates, stages_share_a_node(rates.machine, l), boundary) : 0;
  p.send_blocks = !s.recipe.overlap_pp;
  p.overlapped_pair_s = 0;
}

TailTime tail_time(const Rates& rates, const Scenario& s, const LayerTime& layer, int64_t stage) {
  const Layout& l = s.layout;
  const Group group = gradient_group(rates.machine, l);
  const double replicas = static_cast<double>(group.size);
  const double parameters = parameters_of_rank(s, stage);
  const double per_layer = layer_parameters_of_rank(s);
  const double layers = static_cast<double>(layers_of_rank(s, stage));
  const double ends = parameters - layers * per_layer;
  TailTime t;
  if (group.size > 1 && l.zero < 2) {
    const auto reduce_s = [&](double count) {
      const double bytes = count * static_cast<double>(s.recipe.reduce_bytes);
      return l.zero == 0 ? all_reduce_s(rates, group, bytes) : reduce_scatter_s(rates, group, bytes);
    };
    const double layer_s = reduce_s(per_layer), ends_s = ends > 0 ? reduce_s(ends) : 0;
    t.gradients_s = layers * layer_s + ends_s;
    if (s.recipe.overlap_dp) {
      // The last backward pass frees one layer's gradients after the other; the embedding's are the last.
      TwoStreams streams;
      double at = 0;
      for (double i = 0; i < layers; ++i) {
        at = streams.compute(layer.backward_s);
        streams.network(layer_s, at);
      }
      streams.network(ends_s, at);
      t.gradients_exposed_s = streams.end() - at;
    } else {
      t.gradients_exposed_s = t.gradients_s;
    }
  }
  if (group.size > 1 && (l.zero == 1 || l.zero == 2)) {
    t.weights_s = all_gather_s(rates, group, parameters * static_cast<double>(s.recipe.weight_bytes));
    t.weights_exposed_s = t.weights_s;
    // The next step's first forward pass starts with the first layer that is there.
    if (s.recipe.overlap_dp && layers > 0) {
      const double piece_s = t.weights_s / layers;
      t.weights_exposed_s = piece_s + (layers - 1) * std::max(0.0, piece_s - layer.forward_s);
    }
  }
  // Read the gradient, read and write master copy and moments, write the weight.
  const Recipe& r = s.recipe;
  const double bytes =
      static_cast<double>(r.gradient_bytes + 2 * (r.master_bytes + r.moment_bytes) + r.weight_bytes);
  t.optimizer_s = memory_s(rates, bytes * parameters / (l.zero >= 1 ? replicas : 1));
  return t;
}

}  // namespace dsllm::sim
