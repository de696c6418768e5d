// Written by ./run tune.
#include "sim/constants.hpp"

namespace dsllm::sim {

const Constants& constants() {
  static const Constants fitted = [] {
    Constants c;
    c.ampere.gemm_fraction = 0.7501;
    c.ampere.attention_fraction = 0.513;
    c.ampere.node_fraction = 0.7101;
    c.ampere.node_hop_s = 5.89e-06;
    c.ampere.network_fraction = 1;
    c.ampere.network_decay = 0;
    c.ampere.gather_slowdown = 1;
    c.hopper.gemm_fraction = 0.651;
    c.hopper.attention_fraction = 0.4437;
    c.hopper.node_fraction = 1;
    c.hopper.node_hop_s = 2.378e-06;
    c.hopper.network_fraction = 1;
    c.hopper.network_decay = 0.000351;
    c.hopper.gather_slowdown = 1.131;
    c.gemm_half_k = 264;
    c.gemm_lost_waves = 0.1732;
    c.attention_backward = 5;
    c.hbm_fraction = 0.8817;
    c.launch_s = 2.542e-05;
    c.elementwise_passes = 4.787;
    c.network_hop_s = 1.711e-05;
    c.host_layer_s = 0.003458;
    c.host_collective_s = 8.577e-05;
    c.host_far_rank_s = 0.0002146;
    c.step_s = 0.04556;
    c.send_fraction = 0.8;
    c.send_latency_s = 2e-05;
    return c;
  }();
  return fitted;
}

}  // namespace dsllm::sim
