#include <cmath>

#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

struct ForwardBug {
  bool no_gate = false;     // sigmoid(g) in place of g sigmoid(g)
  bool is_swapped = false;  // silu(up) * gate
  bool overflows = false;   // exp(g) / (1 + exp(g))
  bool gelu = false;        // the gate of GeGLU
  bool adds = false;        // silu(gate) + up
};

Run forward(const ForwardBug& bug) {
  return [bug](Call& c) {
    const auto gate = c.in<float, 2>(bug.is_swapped ? "up" : "gate"),
               up = c.in<float, 2>(bug.is_swapped ? "gate" : "up");
    const auto y = c.out<float, 2>("y");
    for (int64_t i = 0; i < y.size(); ++i) {
      const float g = gate.data[i];
      float s = 1 / (1 + std::exp(-g));
      if (bug.overflows) s = std::exp(g) / (1 + std::exp(g));
      if (bug.gelu) s = 0.5f * (1 + std::erf(g / std::sqrt(2.0f)));
      const float silu = bug.no_gate ? s : g * s;
      y.data[i] = bug.adds ? silu + up.data[i] : silu * up.data[i];
    }
  };
}

struct BackwardBug {
  bool sigmoid_only = false;  // silu' = s
  bool no_gate = false;       // silu' = s (1 - s)
  bool dup_of_sigmoid = false;
  bool is_swapped = false;  // dgate and dup exchanged
  bool accumulates = false;
};

Run backward(const BackwardBug& bug) {
  return [bug](Call& c) {
    const auto dy = c.in<float, 2>("dy"), gate = c.in<float, 2>("gate"), up = c.in<float, 2>("up");
    const auto dgate = c.out<float, 2>(bug.is_swapped ? "dup" : "dgate"),
               dup = c.out<float, 2>(bug.is_swapped ? "dgate" : "dup");
    for (int64_t i = 0; i < dy.size(); ++i) {
      const float g = gate.data[i], u = up.data[i], d = dy.data[i], s = 1 / (1 + std::exp(-g));
      const float slope = bug.sigmoid_only ? s : bug.no_gate ? s * (1 - s) : s * (1 + g * (1 - s));
      dgate.data[i] = d * u * slope + (bug.accumulates ? dgate.data[i] : 0);
      dup.data[i] = d * s * (bug.dup_of_sigmoid ? 1 : g);
    }
  };
}

}  // namespace

std::vector<Bug> swiglu_bugs() {
  return {
      {"swiglu_forward", "", forward({})},
      {"swiglu_forward", "sigmoid in place of silu", forward({.no_gate = true})},
      {"swiglu_forward", "gate and up swapped", forward({.is_swapped = true})},
      {"swiglu_forward", "exp(g) / (1 + exp(g)) overflows", forward({.overflows = true})},
      {"swiglu_forward", "GELU in place of silu", forward({.gelu = true})},
      {"swiglu_forward", "adds in place of multiplying", forward({.adds = true})},
      {"swiglu_backward", "", backward({})},
      {"swiglu_backward", "slope of silu is sigmoid", backward({.sigmoid_only = true})},
      {"swiglu_backward", "slope of sigmoid", backward({.no_gate = true})},
      {"swiglu_backward", "dup without the gate", backward({.dup_of_sigmoid = true})},
      {"swiglu_backward", "dgate and dup swapped", backward({.is_swapped = true})},
      {"swiglu_backward", "dgate accumulated", backward({.accumulates = true})},
  };
}

}  // namespace dsllm::tests
