// A pipeline schedule by itself: its bubble by formula and by the engine, its timeline.
#pragma once

#include <ostream>
#include <string>

#include "sim/pipeline.hpp"

namespace dsllm::sim {

struct ScheduleCommand {
  std::string schedule = "1f1b";
  int64_t stages = 8, micro_batches = 24;
  int64_t chunks = 1;          // interleaved: v
  double f = 1, b = 1, w = 1;  // seconds of a stage's forward pass, backward of inputs, backward of weights
  double comm = 0;             // seconds of a send
  double pair = 0;             // DualPipe: seconds of a forward and a backward pass together; 0: F + B + W
  int64_t width = 100;         // columns of the timeline; 0: none
  bool json = false;
  std::string trace, csv;  // files to write
};

// The pipeline of equal stages that the options say. Throws ConfigError, ValueError.
Pipeline pipeline_of(const ScheduleCommand& options);

void schedule_command(const ScheduleCommand& options, std::ostream& out);

}  // namespace dsllm::sim
