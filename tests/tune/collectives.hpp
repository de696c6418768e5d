// Measured collectives, which fix the constants of the networks before any step time is looked at.
#pragma once

#include <string>
#include <vector>

#include "sim/collective.hpp"

namespace dsllm::sim {

struct MeasuredCollective {  // an all-reduce
  std::string name;
  Machine machine;
  Group group;
  double bytes = 0;
  double seconds = 0;
};

// vtrain_nccl_allreduce_intranode.csv (A100 rows) and hf_ultrascale_comm_bandwidth.csv, whichever of them the two folders
// have. Throws FileError for one that cannot be read.
std::vector<MeasuredCollective> read_collectives(const std::string& facts, const std::string& data);

double predicted_s(const MeasuredCollective& measured, const Constants& constants);

}  // namespace dsllm::sim
