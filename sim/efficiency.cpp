#include "sim/efficiency.hpp"

#include <algorithm>
#include <cmath>

namespace dsllm::sim {

Rates rates_of(const Machine& machine, const Constants& constants) {
  return {machine, constants, machine.compute_capability >= 90 ? constants.hopper : constants.ampere};
}

double gemm_s(const Rates& rates, double m, double n, double k) {
  const double flops = 2 * m * n * k;
  if (!(flops > 0)) return 0;
  const Constants& c = rates.constants;
  // Where the number is not published, the H100's.
  const double multiprocessors = rates.machine.sm_count > 0 ? rates.machine.sm_count : 132;
  const double waves = std::ceil(m / 128) * std::ceil(n / 128) / multiprocessors;
  const double fraction =
      rates.chip.gemm_fraction * k / (k + c.gemm_half_k) * waves / (waves + c.gemm_lost_waves);
  const double bytes = 2 * (m * k + k * n + m * n);
  return std::max(flops / (fraction * rates.machine.flops_per_s),
                  bytes / (c.hbm_fraction * rates.machine.hbm_bytes_per_s)) +
         c.launch_s;
}

double memory_s(const Rates& rates, double bytes) {
  if (!(bytes > 0)) return 0;
  return bytes / (rates.constants.hbm_fraction * rates.machine.hbm_bytes_per_s) + rates.constants.launch_s;
}

double attention_s(const Rates& rates, double flops) {
  if (!(flops > 0)) return 0;
  return flops / (rates.chip.attention_fraction * rates.chip.gemm_fraction * rates.machine.flops_per_s) +
         rates.constants.launch_s;
}

}  // namespace dsllm::sim
