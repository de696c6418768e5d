// dsllm-verify --inspect: kernels run under the inspector (cuda/simt/inspector). A race is a failure like a wrong number; and
// one case is profiled.
#pragma once

#include <string>

#include "ref/core/json_fwd.hpp"
#include "tests/verify/verify.hpp"

namespace dsllm::tests {

struct InspectionOptions {
  std::string gpu = "h100-sxm";  // whose roofline and occupancy are reported
  std::string
      nvcc_report;  // what `nvcc -Xptxas -v` printed: a file with the registers of each kernel; may be empty
  bool listing = false;  // the sources with numbers in the margin, in place of tables by line
  uint64_t seed = 0;
};

struct Profile {
  std::string text;
  Json json;
};

// Whether this program's kernels are compiled for it. The functions below throw Error where they are not.
bool can_inspect();

// Checks the GPU's name and that the report can be read. Throws UsageError, FileError.
void check_inspection(const InspectionOptions& options);

// All launches between the two are looked at. The second returns the races in words, or "".
void begin_inspection();
std::string end_inspection();

// One run of the candidate on the largest of the pair's cases that it supports.
Profile profile(const Pair& pair, const Candidate& candidate, const InspectionOptions& options);

}  // namespace dsllm::tests
