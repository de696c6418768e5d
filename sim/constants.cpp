// Written by ./run tune.
#include "sim/constants.hpp"

namespace dsllm::sim {

const Constants& constants() {
  static const Constants fitted = [] {
    Constants c;
    c.ampere.gemm_fraction = 0.7486;
    c.ampere.attention_fraction = 0.4945;
    c.ampere.node_fraction = 0.7101;
    c.ampere.node_hop_s = 5.89e-06;
    c.ampere.network_fraction = 1;
    c.ampere.network_decay = 0;
    c.ampere.gather_slowdown = 1;
    c.hopper.gemm_fraction = 0.6021;
    c.hopper.attention_fraction = 0.5946;
    c.hopper.node_fraction = 0.9788;
    c.hopper.node_hop_s = 7.504e-07;
    c.hopper.network_fraction = 0.9714;
    c.hopper.network_decay = 0.0006082;
    c.hopper.gather_slowdown = 1.211;
    c.gemm_half_k = 271.8;
    c.gemm_lost_waves = 0.1877;
    c.attention_backward = 4.77;
    c.hbm_fraction = 0.9144;
    c.launch_s = 2.472e-05;
    c.elementwise_passes = 4.527;
    c.network_hop_s = 1.901e-05;
    c.host_layer_s = 0.003525;
    c.host_collective_s = 7.86e-05;
    c.host_far_rank_s = 0.0002139;
    c.step_s = 0.05135;
    c.send_fraction = 0.8;
    c.send_latency_s = 2e-05;
    return c;
  }();
  return fitted;
}

}  // namespace dsllm::sim
