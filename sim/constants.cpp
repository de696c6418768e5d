// Written by ./run tune.
#include "sim/constants.hpp"

namespace dsllm::sim {

const Constants& constants() {
  static const Constants fitted = [] {
    Constants c;
    c.ampere.gemm_fraction = 0.7739;
    c.ampere.attention_fraction = 0.5115;
    c.ampere.node_fraction = 0.7101;
    c.ampere.node_hop_s = 5.89e-06;
    c.ampere.network_fraction = 1;
    c.ampere.network_decay = 1.442e-14;
    c.ampere.gather_slowdown = 1;
    c.hopper.gemm_fraction = 0.7473;
    c.hopper.attention_fraction = 0.3154;
    c.hopper.node_fraction = 1;
    c.hopper.node_hop_s = 2.288e-06;
    c.hopper.network_fraction = 0.9972;
    c.hopper.network_decay = 4.92e-05;
    c.hopper.gather_slowdown = 1.189;
    c.gemm_half_k = 447.5;
    c.gemm_lost_waves = 0.4015;
    c.attention_backward = 4.963;
    c.hbm_fraction = 0.92;
    c.launch_s = 1.862e-05;
    c.elementwise_passes = 5.475;
    c.network_hop_s = 1.691e-05;
    c.host_layer_s = 1.271e-06;
    c.host_collective_s = 0.0004349;
    c.host_far_rank_s = 0.0002132;
    c.step_s = 0.04497;
    c.send_fraction = 0.8;
    c.send_latency_s = 2e-05;
    return c;
  }();
  return fitted;
}

}  // namespace dsllm::sim
