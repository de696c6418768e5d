// Written by ./run tune.
#include "sim/constants.hpp"

namespace dsllm::sim {

const Constants& constants() {
  static const Constants fitted = [] {
    Constants c;
    c.ampere.gemm_fraction = 0.7738;
    c.ampere.attention_fraction = 0.5108;
    c.ampere.node_fraction = 0.7096;
    c.ampere.node_hop_s = 5.887e-06;
    c.ampere.network_fraction = 0.6876;
    c.ampere.network_decay = 0.2905;
    c.ampere.gather_slowdown = 1;
    c.hopper.gemm_fraction = 0.7386;
    c.hopper.attention_fraction = 0.3057;
    c.hopper.node_fraction = 1;
    c.hopper.node_hop_s = 2.288e-06;
    c.hopper.network_fraction = 0.9972;
    c.hopper.network_decay = 0;
    c.hopper.gather_slowdown = 1.745;
    c.gemm_half_k = 439;
    c.gemm_lost_waves = 0.2581;
    c.attention_backward = 4.971;
    c.hbm_fraction = 0.8512;
    c.launch_s = 1.565e-05;
    c.elementwise_passes = 4.351;
    c.network_hop_s = 1.691e-05;
    c.host_layer_s = 8.671e-07;
    c.host_collective_s = 0.0004349;
    c.host_far_rank_s = 0.0002134;
    c.step_s = 0.04469;
    c.send_fraction = 0.8;
    c.send_latency_s = 2e-05;
    return c;
  }();
  return fitted;
}

}  // namespace dsllm::sim
