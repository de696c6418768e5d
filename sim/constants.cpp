// Written by ./run tune.
#include "sim/constants.hpp"

namespace dsllm::sim {

const Constants& constants() {
  static const Constants fitted = [] {
    Constants c;
    c.ampere.gemm_fraction = 0.751;
    c.ampere.attention_fraction = 0.4906;
    c.ampere.node_fraction = 0.7098;
    c.ampere.node_hop_s = 5.889e-06;
    c.ampere.network_fraction = 1;
    c.ampere.network_decay = 0;
    c.ampere.gather_slowdown = 1;
    c.hopper.gemm_fraction = 0.6;
    c.hopper.attention_fraction = 0.5231;
    c.hopper.node_fraction = 0.9847;
    c.hopper.node_hop_s = 1.187e-06;
    c.hopper.network_fraction = 1;
    c.hopper.network_decay = 0.02258;
    c.hopper.gather_slowdown = 1.252;
    c.gemm_half_k = 274.5;
    c.gemm_lost_waves = 0.2805;
    c.attention_backward = 4.728;
    c.hbm_fraction = 0.8881;
    c.launch_s = 2.199e-05;
    c.elementwise_passes = 4.053;
    c.network_hop_s = 2.048e-05;
    c.host_layer_s = 0.001079;
    c.host_collective_s = 0.0003231;
    c.host_far_rank_s = 0.0002139;
    c.step_s = 0.04865;
    c.send_fraction = 0.8;
    c.send_latency_s = 2e-05;
    return c;
  }();
  return fitted;
}

}  // namespace dsllm::sim
