// Every constant of the simulator that is neither a datasheet's figure nor a formula. All were fitted together, by
// `dsllm-tune`, to published step times of whole training runs; none belongs to one row or one model.
#pragma once

#include "ref/core/fields.hpp"

namespace dsllm::sim {

// What a generation of GPUs reaches of its datasheet.
struct ChipConstants {
  double gemm_fraction = 0.75;       // of the dense peak, by a large matrix product
  double attention_fraction = 0.45;  // of the same peak, by the attention kernel, forward
  // The networks that they were measured on: network_fraction * nodes^-network_decay of the bandwidth.
  double network_fraction = 0.8;
  double network_decay = 0.1;
};

struct Constants {
  ChipConstants ampere, hopper;  // V100 counts as ampere, Blackwell as hopper: nothing was measured on them

  // Matrix products [m, k] x [k, n]: fraction * k / (k + gemm_half_k) * waves / (waves + gemm_lost_waves).
  double gemm_half_k = 200;
  double gemm_lost_waves = 0.5;  // of tiles of 128 x 128, one a multiprocessor
  double attention_backward =
      2.5;  // time of the backward pass, in forward passes with as many FLOPs: 5 products for 2

  // Kernels that are bound by memory: launch_s + bytes / (hbm_fraction * bandwidth).
  double hbm_fraction = 0.75;
  double launch_s = 5e-6;
  double elementwise_passes =
      2;  // norms, rotations, activations of programs that do not fuse them, in fused passes

  // Collectives: latency a hop, and the bandwidth that large messages reach.
  double node_fraction = 0.7;
  double node_latency_s = 3e-6;
  double network_latency_s = 15e-6;
  double p2p_fraction = 0.8;
  double p2p_latency_s = 20e-6;
  double dp_overlap_slowdown = 1.1;  // of the backward pass while gradients are on the wire

  // The processor that launches the kernels: a layer's passes never take less than this.
  double host_layer_s = 1.5e-3;       // forward and backward of a layer without collectives
  double host_collective_s = 0.2e-3;  // each collective of tp in it
  // With pipeline neighbours on another node, collectives of tp wait for one another's ranks: seconds a collective and a rank.
  double host_far_rank_s = 0.2e-3;

  // What no kernel accounts for.
  double micro_batch_s = 1e-3;  // of the program around one pass of one stage, forward and backward together
  double step_s = 20e-3;        // once a step: data, logging, norms, synchronization
  double optimizer_passes = 1;  // over weights, gradients and state, in bytes read and written
};

const Constants& constants();

template <class Config, class Visit>
requires is_config<Config, Constants>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"ampere_gemm_fraction", "of the peak", 0.3, 0.87}, c.ampere.gemm_fraction);
  visit(Field{"ampere_attention_fraction", "of the peak", 0.05, 1}, c.ampere.attention_fraction);
  visit(Field{"hopper_gemm_fraction", "of the peak", 0.3, 0.8}, c.hopper.gemm_fraction);
  visit(Field{"hopper_attention_fraction", "of the peak", 0.05, 1}, c.hopper.attention_fraction);
  visit(Field{"ampere_network_fraction", "of the bandwidth", 0.1, 0.95}, c.ampere.network_fraction);
  visit(Field{"ampere_network_decay", "exponent of the number of nodes", 0, 1.5}, c.ampere.network_decay);
  visit(Field{"hopper_network_fraction", "of the bandwidth", 0.1, 0.95}, c.hopper.network_fraction);
  visit(Field{"hopper_network_decay", "exponent of the number of nodes", 0, 1.5}, c.hopper.network_decay);
  visit(Field{"gemm_half_k", "k at which half the rate is reached", 0, 4000}, c.gemm_half_k);
  visit(Field{"gemm_lost_waves", "waves that are lost", 0, 5}, c.gemm_lost_waves);
  visit(Field{"attention_backward", "time in forward passes", 2, 5}, c.attention_backward);
  visit(Field{"hbm_fraction", "of the bandwidth", 0.2, 0.92}, c.hbm_fraction);
  visit(Field{"launch_s", "of one kernel", 0, 1e-3}, c.launch_s);
  visit(Field{"elementwise_passes", "over the same bytes", 1, 8}, c.elementwise_passes);
  visit(Field{"node_fraction", "of NVLink's bandwidth", 0.2, 0.95}, c.node_fraction);
  visit(Field{"node_latency_s", "of a hop", 0, 1e-3}, c.node_latency_s);
  visit(Field{"network_latency_s", "of a hop", 3e-6, 1e-3}, c.network_latency_s);
  visit(Field{"p2p_fraction", "of the link's bandwidth", 0.05, 1}, c.p2p_fraction);
  visit(Field{"p2p_latency_s", "of a send", 0, 1e-2}, c.p2p_latency_s);
  visit(Field{"dp_overlap_slowdown", "of the overlapped backward", 1, 2}, c.dp_overlap_slowdown);
  visit(Field{"host_layer_s", "of a layer", 0, 2e-2}, c.host_layer_s);
  visit(Field{"host_collective_s", "of a collective", 0, 1e-2}, c.host_collective_s);
  visit(Field{"host_far_rank_s", "of a collective and a rank", 0, 1e-2}, c.host_far_rank_s);
  visit(Field{"micro_batch_s", "of one pass of one stage", 0, 0.1}, c.micro_batch_s);
  visit(Field{"step_s", "once a step", 0, 2}, c.step_s);
  visit(Field{"optimizer_passes", "over the optimizer's bytes", 0.5, 20}, c.optimizer_passes);
}

}  // namespace dsllm::sim
