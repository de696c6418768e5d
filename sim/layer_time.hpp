// The time of one block on one rank, as its kernels and collectives in order on two streams.
#pragma once

#include "sim/collective.hpp"

namespace dsllm::sim {

// Kernels run in order on the compute stream, collectives in order on the network stream; a step starts when its stream
// is free and what it waits for has ended.
class TwoStreams {
 public:
  // Both return when the step ends, seconds from the start.
  double compute(double seconds, double after = 0) { return run(compute_, seconds, after); }
  double network(double seconds, double after = 0) { return run(network_, seconds, after); }
  double end() const { return compute_ > network_ ? compute_ : network_; }

 private:
  static double run(double& clock, double seconds, double after) {
    clock = (clock > after ? clock : after) + seconds;
    return clock;
  }
  double compute_ = 0, network_ = 0;
};

struct LayerTime {
  double forward_s = 0;
  double backward_s = 0;         // both gradients, with recomputation; the weights' part hides collectives
  double backward_input_s = 0;   // the input's gradient alone, with recomputation, for schedules that split
  double backward_weight_s = 0;  // the weights' gradient alone
  double recompute_s = 0;        // of backward_s
  double tp_forward_s = 0, tp_backward_s = 0;  // collectives of tp and cp, hidden or not
  double tp_exposed_forward_s = 0;             // of forward_s
};

// A block on tokens = micro_batch * seq_len / cp positions.
LayerTime layer_time(const Rates& rates, const Scenario& scenario);

// What the ends of the model add, for a micro-batch: lookup, and final norm, head and loss.
struct EndsTime {
  double embedding_forward_s = 0, embedding_backward_s = 0;
  double head_forward_s = 0, head_backward_input_s = 0, head_backward_weight_s = 0;
};
EndsTime ends_time(const Rates& rates, const Scenario& scenario);

}  // namespace dsllm::sim
