// cos(pi x) and x^n whose bits are the same on every machine: made of +, -, * and / in double alone, each rounded once. The
// cos and pow of math libraries differ in their last bit (glibc by processor, CUDA from both), and a run's learning rate
// must not depend on where it is computed.
#pragma once

#include <cstdint>

#include "ref/core/view.hpp"

namespace dsllm {

// One rounding each. nvcc would join a product and a sum to one operation otherwise.
DSLLM_HD inline double rounded_product(double a, double b) {
#if defined(__CUDA_ARCH__)
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}
DSLLM_HD inline double rounded_sum(double a, double b) {
#if defined(__CUDA_ARCH__)
  return __dadd_rn(a, b);
#else
  return a + b;
#endif
}

// cos(pi x) for 0 <= x <= 1, with an error below 2e-16; exact at 0, 1/2 and 1.
DSLLM_HD inline double cos_pi(double x) {
  // cos z = 1 - z^2/(1 2) (1 - z^2/(3 4) (1 - ...))    sin z = z (1 - z^2/(2 3) (1 - z^2/(4 5) (1 - ...)))
  // at |z| <= pi / 4, where z^18 / 18! is 2^-58: nine terms.
  const bool near_zero = x<0.25, near_one = x> 0.75, sine = !near_zero && !near_one;
  const double z = rounded_product(3.14159265358979323846, near_zero ? x : near_one ? 1 - x : 0.5 - x);
  const double z2 = rounded_product(z, z);
  double series = 1;
  for (int k = 17; k > 0; k -= 2) {
    const int first = sine ? k + 1 : k;
    series = rounded_sum(1, -rounded_product(z2 / (first * (first + 1)), series));
  }
  return sine ? rounded_product(z, series) : near_one ? -series : series;
}

// base^n for n >= 0 by repeated squaring; the relative error is about n 2^-53.
DSLLM_HD inline double power(double base, int64_t n) {
  double result = 1;
  for (; n > 0; n /= 2) {
    if (n % 2 == 1) result = rounded_product(result, base);
    base = rounded_product(base, base);
  }
  return result;
}

}  // namespace dsllm
