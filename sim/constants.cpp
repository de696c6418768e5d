// Written by ./run tune.
#include "sim/constants.hpp"

namespace dsllm::sim {

const Constants& constants() {
  static const Constants fitted = [] {
    Constants c;
    c.ampere.gemm_fraction = 0.7555;
    c.ampere.attention_fraction = 0.4679;
    c.ampere.node_fraction = 0.7088;
    c.ampere.node_hop_s = 5.882e-06;
    c.ampere.network_fraction = 1;
    c.ampere.network_decay = 0;
    c.ampere.gather_slowdown = 1;
    c.hopper.gemm_fraction = 0.5675;
    c.hopper.attention_fraction = 0.7709;
    c.hopper.node_fraction = 0.9946;
    c.hopper.node_hop_s = 1.9e-06;
    c.hopper.network_fraction = 1;
    c.hopper.network_decay = 0.07197;
    c.hopper.gather_slowdown = 1.25;
    c.gemm_half_k = 285.7;
    c.gemm_lost_waves = 0.4823;
    c.attention_backward = 4.435;
    c.hbm_fraction = 0.9055;
    c.launch_s = 1.763e-05;
    c.elementwise_passes = 4.13;
    c.network_hop_s = 4.166e-06;
    c.host_layer_s = 0.002702;
    c.host_collective_s = 0.0001597;
    c.host_far_rank_s = 0.0002137;
    c.step_s = 0.05513;
    c.send_fraction = 0.8;
    c.send_latency_s = 2e-05;
    return c;
  }();
  return fitted;
}

}  // namespace dsllm::sim
