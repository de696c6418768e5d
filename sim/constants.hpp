// Every constant of the simulator that is neither a datasheet's figure nor a formula. Their values stand in constants.cpp,
// which `./run tune` fitted to published collectives and step times; none belongs to one row or one model.
#pragma once

#include "ref/core/fields.hpp"

namespace dsllm::sim {

// What a generation of GPUs, in the nodes and on the networks it was measured with, reaches of its datasheet.
struct ChipConstants {
  double gemm_fraction = 0.75;  // of the dense peak, by a large matrix product
  double attention_fraction =
      0.6;                        // of what a large matrix product reaches, by the attention kernel, forward
  double node_fraction = 0.8;     // of NVLink, by a ring with large messages
  double node_hop_s = 5e-6;       // latency from rank to rank within a node
  double network_fraction = 0.8;  // of the network: network_fraction * nodes^-network_decay
  double network_decay = 0.1;
  double gather_slowdown = 1.2;  // of an all-gather or a reduce-scatter against half of an all-reduce
};

struct Constants {
  ChipConstants ampere, hopper;  // V100 counts as ampere, Blackwell as hopper: nothing was measured on them

  // Matrix products [m, k] x [k, n]: fraction * k / (k + gemm_half_k) * waves / (waves + gemm_lost_waves).
  double gemm_half_k = 200;
  double gemm_lost_waves = 0.5;     // of tiles of 128 x 128, one a multiprocessor
  double attention_backward = 2.5;  // its time in forward passes; its FLOPs are 5 products for 2

  // Kernels that are bound by memory: launch_s + bytes / (hbm_fraction * bandwidth).
  double hbm_fraction = 0.8;
  double launch_s = 5e-6;

  double network_hop_s = 15e-6;  // latency from node to node

  // Programs that launch every kernel by itself (Recipe::eager), as Hugging Face's nanotron. Norms, rotations and
  // activations go over the same bytes several times, and a layer's passes never take less than the processor needs.
  double elementwise_passes = 2;
  double host_layer_s = 1.5e-3;       // forward and backward of a layer without collectives
  double host_collective_s = 0.2e-3;  // each collective of tp in it
  // With pipeline neighbours on another node, collectives of tp wait for one another's ranks: seconds a collective and a rank.
  double host_far_rank_s = 0.2e-3;

  double step_s = 20e-3;  // once a step: data, logging, norms, synchronization

  // Not fitted. A send between stages: Qi et al. (2401.10241) table 6 has 0.6 ms for 28 MB and 0.4 to 0.8 for others.
  double send_fraction = 0.8;  // of the link
  double send_latency_s = 20e-6;
};

const Constants& constants();

// The ranges are what is physical: 0.87 and 0.80 of the peak are the best matrix products that were measured (MAMF in
// ref/core/gpu.hpp); FlashAttention-2 reaches at best 0.73 of the A100's peak (arXiv 2307.08691), as much as products do.
template <class Config, class Visit>
requires is_config<Config, ChipConstants>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"gemm_fraction", "of the peak", 0.6, 0.87}, c.gemm_fraction);
  visit(Field{"attention_fraction", "of products", 0.2, 1}, c.attention_fraction);
  visit(Field{"node_fraction", "of NVLink", 0.2, 1}, c.node_fraction);
  visit(Field{"node_hop_s", "seconds", 0, 1e-3}, c.node_hop_s);
  visit(Field{"network_fraction", "of the network", 0.1, 1}, c.network_fraction);
  visit(Field{"network_decay", "exponent of the nodes", 0, 1.5}, c.network_decay);
  visit(Field{"gather_slowdown", "times", 1, 4}, c.gather_slowdown);
}

template <class Config, class Visit>
requires is_config<Config, Constants>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"gemm_half_k", "elements", 0, 4000}, c.gemm_half_k);
  visit(Field{"gemm_lost_waves", "waves", 0, 5}, c.gemm_lost_waves);
  visit(Field{"attention_backward", "forward passes", 2, 5}, c.attention_backward);
  visit(Field{"hbm_fraction", "of the bandwidth", 0.2, 0.92}, c.hbm_fraction);
  visit(Field{"launch_s", "seconds", 0, 1e-3}, c.launch_s);
  visit(Field{"elementwise_passes", "passes", 1, 8}, c.elementwise_passes);
  visit(Field{"network_hop_s", "seconds", 0, 1e-3}, c.network_hop_s);
  visit(Field{"host_layer_s", "seconds", 0, 2e-2}, c.host_layer_s);
  visit(Field{"host_collective_s", "seconds", 0, 1e-2}, c.host_collective_s);
  visit(Field{"host_far_rank_s", "seconds", 0, 1e-2}, c.host_far_rank_s);
  visit(Field{"step_s", "seconds", 0, 2}, c.step_s);
  visit(Field{"send_fraction", "of the link", 0.05, 1}, c.send_fraction);
  visit(Field{"send_latency_s", "seconds", 0, 1e-2}, c.send_latency_s);
}

}  // namespace dsllm::sim
