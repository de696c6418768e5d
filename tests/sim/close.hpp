// doctest's Approx adds 1 to the size that its epsilon is a share of, so that microseconds would all be equal to it.
#pragma once

#include <doctest/doctest.h>

namespace dsllm::sim {

// Equal but for rounding, whatever the size.
inline doctest::Approx nearly(double x) {
  return doctest::Approx(x).epsilon(1e-9).scale(0);
}

}  // namespace dsllm::sim
