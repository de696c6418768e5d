// Every constant of the simulator that is neither a datasheet's figure nor a formula. All were fitted together, by
// `dsllm-tune`, to published step times of whole training runs; none belongs to one row or one model.
#pragma once

#include "ref/core/fields.hpp"

namespace dsllm::sim {

// What a generation of GPUs reaches of its datasheet.
struct ChipConstants {
  double gemm_fraction = 0.75;       // of the dense peak, by a large matrix product
  double attention_fraction = 0.45;  // of the same peak, by the attention kernel, forward
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

  // Collectives: latency a hop, and the bandwidth that large messages reach. Bandwidth falls with the number of nodes:
  // network_fraction * nodes^-network_decay.
  double node_fraction = 0.7;
  double node_latency_s = 3e-6;
  double network_fraction = 0.8;
  double network_latency_s = 15e-6;
  double network_decay = 0.2;
  double p2p_fraction = 0.8;
  double p2p_latency_s = 20e-6;
  double dp_overlap_slowdown = 1.1;  // of the backward pass while gradients are on the wire

  // What no kernel accounts for.
  double micro_batch_s = 1e-3;  // of the program around one pass of one stage, forward and backward together
  double step_s = 20e-3;        // once a step: data, logging, norms, synchronization
  double optimizer_passes = 1;  // over weights, gradients and state, in bytes read and written
};

const Constants& constants();

template <class Config, class Visit>
requires is_config<Config, Constants>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"ampere_gemm_fraction", "of the peak", 0.3, 1}, c.ampere.gemm_fraction);
  visit(Field{"ampere_attention_fraction", "of the peak", 0.05, 1}, c.ampere.attention_fraction);
  visit(Field{"hopper_gemm_fraction", "of the peak", 0.3, 1}, c.hopper.gemm_fraction);
  visit(Field{"hopper_attention_fraction", "of the peak", 0.05, 1}, c.hopper.attention_fraction);
  visit(Field{"gemm_half_k", "k at which half the rate is reached", 0, 4000}, c.gemm_half_k);
  visit(Field{"gemm_lost_waves", "waves that are lost", 0, 5}, c.gemm_lost_waves);
  visit(Field{"attention_backward", "time in forward passes", 2, 5}, c.attention_backward);
  visit(Field{"hbm_fraction", "of the bandwidth", 0.2, 1}, c.hbm_fraction);
  visit(Field{"launch_s", "of one kernel", 0, 1e-3}, c.launch_s);
  visit(Field{"node_fraction", "of NVLink's bandwidth", 0.2, 1}, c.node_fraction);
  visit(Field{"node_latency_s", "of a hop", 0, 1e-3}, c.node_latency_s);
  visit(Field{"network_fraction", "of the network's bandwidth", 0.1, 1}, c.network_fraction);
  visit(Field{"network_latency_s", "of a hop", 0, 1e-3}, c.network_latency_s);
  visit(Field{"network_decay", "exponent of the number of nodes", 0, 1.5}, c.network_decay);
  visit(Field{"p2p_fraction", "of the link's bandwidth", 0.05, 1}, c.p2p_fraction);
  visit(Field{"p2p_latency_s", "of a send", 0, 1e-2}, c.p2p_latency_s);
  visit(Field{"dp_overlap_slowdown", "of the overlapped backward", 1, 2}, c.dp_overlap_slowdown);
  visit(Field{"micro_batch_s", "of one pass of one stage", 0, 0.1}, c.micro_batch_s);
  visit(Field{"step_s", "once a step", 0, 2}, c.step_s);
  visit(Field{"optimizer_passes", "over the optimizer's bytes", 0.5, 20}, c.optimizer_passes);
}

}  // namespace dsllm::sim
