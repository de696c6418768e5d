// Written by ./run tune.
#include "sim/constants.hpp"

namespace dsllm::sim {

const Constants& constants() {
  static const Constants fitted = [] {
    Constants c;
    c.ampere.gemm_fraction = 0.7711;
    c.ampere.attention_fraction = 0.658;
    c.ampere.node_fraction = 0.71;
    c.ampere.node_hop_s = 5.89e-06;
    c.ampere.network_fraction = 1;
    c.ampere.network_decay = 0;
    c.ampere.gather_slowdown = 1;
    c.hopper.gemm_fraction = 0.6017;
    c.hopper.attention_fraction = 1;
    c.hopper.node_fraction = 0.9759;
    c.hopper.node_hop_s = 5.313e-07;
    c.hopper.network_fraction = 0.9718;
    c.hopper.network_decay = 0.08532;
    c.hopper.gather_slowdown = 1.206;
    c.gemm_half_k = 493.8;
    c.gemm_lost_waves = 0.1409;
    c.attention_backward = 4.855;
    c.hbm_fraction = 0.92;
    c.launch_s = 1.931e-05;
    c.elementwise_passes = 3.682;
    c.network_hop_s = 7.623e-07;
    c.host_layer_s = 0.001252;
    c.host_collective_s = 0.0003057;
    c.host_far_rank_s = 0.0002144;
    c.step_s = 0.04235;
    c.send_fraction = 0.8;
    c.send_latency_s = 2e-05;
    return c;
  }();
  return fitted;
}

}  // namespace dsllm::sim
