// One element of SwiGLU and of its gradients, in float: what both steps compute.
#pragma once

#include "cuda/core/kernel.hpp"

namespace dsllm::cuda::swiglu {

// exp(-g) may overflow to infinity, for g < -88; the quotient is 0 then, as it should be. The exact division costs some
// instructions more than __fdividef, which returns 0 already where the divisor is above 2^126.
__device__ inline float sigmoid(float g) {
  return 1.0f / (1.0f + expf(-g));
}

__device__ inline float forward(float gate, float up) {
  return gate * sigmoid(gate) * up;
}

struct Gradients {
  float gate, up;
};
// y = g s u, s = sigmoid(g), s' = s (1 - s)  =>  dy/dg = u s (1 + g (1 - s)),  dy/du = g s
__device__ inline Gradients backward(float dy, float gate, float up) {
  const float s = sigmoid(gate);
  return {dy * up * s * (1.0f + gate * (1.0f - s)), dy * gate * s};
}

template <class T>
void check_forward(const char* operation, In<T, 2> gate, In<T, 2> up, Out<T, 2> y) {
  const int64_t n = gate.extent[0], d_ff = gate.extent[1];
  check_shape(operation, "up", up, {n, d_ff});
  check_shape(operation, "y", y, {n, d_ff});
}

template <class T>
void check_backward(const char* operation, In<T, 2> dy, In<T, 2> gate, In<T, 2> up, Out<T, 2> dgate,
                    Out<T, 2> dup) {
  const int64_t n = gate.extent[0], d_ff = gate.extent[1];
  check_shape(operation, "dy", dy, {n, d_ff});
  check_shape(operation, "up", up, {n, d_ff});
  check_shape(operation, "dgate", dgate, {n, d_ff});
  check_shape(operation, "dup", dup, {n, d_ff});
}

}  // namespace dsllm::cuda::swiglu
