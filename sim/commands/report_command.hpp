// What one layout costs.
#pragma once

#include <ostream>
#include <string>

#include "sim/commands/scenario_options.hpp"

namespace dsllm::sim {

struct ReportCommand {
  ScenarioOptions scenario;
  double tokens = 2e12;           // of the whole training (paper, 2.1)
  double price_per_gpu_hour = 0;  // 0: no costs
  int64_t width = 100;            // columns of the timeline; 0: none
  bool json = false;
  std::string csv, trace;      // files to write
  int64_t trace_replicas = 1;  // processes of the trace, of the dp that there are; all do the same
};

void report_command(const ReportCommand& options, std::ostream& out);

}  // namespace dsllm::sim
