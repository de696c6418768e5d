// What the commands of this folder share.
#pragma once

#include "ref/core/error.hpp"
#include "sim/scaling/commands.hpp"

namespace dsllm::sim {

inline void check_format(const ScalingFormat& format) {
  if (format.json && format.csv) throw UsageError("--json", "one form of output", "--json and --csv");
}

}  // namespace dsllm::sim
