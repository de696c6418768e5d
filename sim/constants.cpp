// Written by ./run tune.
#include "sim/constants.hpp"

namespace dsllm::sim {

const Constants& constants() {
  static const Constants fitted = [] {
    Constants c;
    c.ampere.gemm_fraction = 0.7527;
    c.ampere.attention_fraction = 0.514;
    c.ampere.node_fraction = 0.7088;
    c.ampere.node_hop_s = 5.882e-06;
    c.ampere.network_fraction = 1;
    c.ampere.network_decay = 0;
    c.ampere.gather_slowdown = 1;
    c.hopper.gemm_fraction = 0.5812;
    c.hopper.attention_fraction = 0.6784;
    c.hopper.node_fraction = 0.9909;
    c.hopper.node_hop_s = 1.637e-06;
    c.hopper.network_fraction = 1;
    c.hopper.network_decay = 0.01708;
    c.hopper.gather_slowdown = 1.238;
    c.gemm_half_k = 276;
    c.gemm_lost_waves = 0.2877;
    c.attention_backward = 5;
    c.hbm_fraction = 0.903;
    c.launch_s = 2.159e-05;
    c.elementwise_passes = 4.01;
    c.network_hop_s = 1.856e-05;
    c.host_layer_s = 0.004096;
    c.host_collective_s = 2.096e-05;
    c.host_far_rank_s = 0.0002136;
    c.step_s = 0.05439;
    c.send_fraction = 0.8;
    c.send_latency_s = 2e-05;
    return c;
  }();
  return fitted;
}

}  // namespace dsllm::sim
