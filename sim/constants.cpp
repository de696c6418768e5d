// Written by ./run tune.
#include "sim/constants.hpp"

namespace dsllm::sim {

const Constants& constants() {
  static const Constants fitted = [] {
    Constants c;
    c.ampere.gemm_fraction = 0.784;
    c.ampere.attention_fraction = 0.5028;
    c.ampere.node_fraction = 0.7124;
    c.ampere.node_hop_s = 5.902e-06;
    c.ampere.network_fraction = 1;
    c.ampere.network_decay = 0.03977;
    c.ampere.gather_slowdown = 1;
    c.hopper.gemm_fraction = 0.6;
    c.hopper.attention_fraction = 0.8148;
    c.hopper.node_fraction = 1;
    c.hopper.node_hop_s = 2.288e-06;
    c.hopper.network_fraction = 1;
    c.hopper.network_decay = 0.04765;
    c.hopper.gather_slowdown = 1.245;
    c.gemm_half_k = 516.2;
    c.gemm_lost_waves = 0.7487;
    c.attention_backward = 3.506;
    c.hbm_fraction = 0.9179;
    c.launch_s = 7.897e-06;
    c.elementwise_passes = 3.849;
    c.network_hop_s = 7.073e-06;
    c.host_layer_s = 0.001794;
    c.host_collective_s = 0.0002512;
    c.host_far_rank_s = 0.0002143;
    c.step_s = 0.04448;
    c.send_fraction = 0.8;
    c.send_latency_s = 2e-05;
    return c;
  }();
  return fitted;
}

}  // namespace dsllm::sim
