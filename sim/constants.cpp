// Written by ./run tune.
#include "sim/constants.hpp"

namespace dsllm::sim {

const Constants& constants() {
  static const Constants fitted = [] {
    Constants c;
    c.ampere.gemm_fraction = 0.7906;
    c.ampere.attention_fraction = 0.4851;
    c.ampere.node_fraction = 0.7101;
    c.ampere.node_hop_s = 5.89e-06;
    c.ampere.network_fraction = 1;
    c.ampere.network_decay = 0;
    c.ampere.gather_slowdown = 1;
    c.hopper.gemm_fraction = 0.6;
    c.hopper.attention_fraction = 0.6042;
    c.hopper.node_fraction = 0.9998;
    c.hopper.node_hop_s = 2.275e-06;
    c.hopper.network_fraction = 1;
    c.hopper.network_decay = 0.07305;
    c.hopper.gather_slowdown = 1.253;
    c.gemm_half_k = 559.3;
    c.gemm_lost_waves = 0.9908;
    c.attention_backward = 4.594;
    c.hbm_fraction = 0.92;
    c.launch_s = 1.939e-06;
    c.elementwise_passes = 3.785;
    c.network_hop_s = 1.288e-06;
    c.host_layer_s = 0.004117;
    c.host_collective_s = 1.89e-05;
    c.host_far_rank_s = 0.0002146;
    c.step_s = 0.04198;
    c.send_fraction = 0.8;
    c.send_latency_s = 2e-05;
    return c;
  }();
  return fitted;
}

}  // namespace dsllm::sim
