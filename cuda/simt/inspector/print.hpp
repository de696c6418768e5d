// The inspector's report for people and for programs.
#pragma once

#include <map>
#include <string>

#include "cuda/simt/inspector/report.hpp"

namespace dsllm::cuda::simt::inspector {

struct PrintOptions {
  std::string gpu = "h100-sxm";  // of ref/core/gpu.hpp, whose roofline and occupancy are computed
  // FLOPs that are no tensor core's, which the inspector does not see: by kernel, over all launches that are reported; under ""
  // those of the whole report. Tensor cores' are counted.
  std::map<std::string, double> flops;
  std::string nvcc_report;  // path of what `nvcc -Xptxas -v` printed; "": registers are unknown
  int most_races = 5;       // of a kernel, in text; JSON has all
};

// All of these throw ValueError for an unknown GPU, FileError for an nvcc report that cannot be read.

// Per kernel: bytes, roofline, occupancy, races, and a table by source line.
std::string text(const Report& report, const PrintOptions& options = {});

// The same as a JSON object {"gpu", "kernels": [{"name", ..., "lines": [...], "races": [...]}]}. Times are in seconds.
std::string json(const Report& report, const PrintOptions& options = {});

// The sources of the kernels (.cu), each line with its numbers in the margin: requests of a warp, sectors a request and the ideal,
// wavefronts and the ideal, bytes asked for; races below their lines. Over all kernels of the report. A file that is not where it
// was compiled is named instead.
std::string listing(const Report& report);

}  // namespace dsllm::cuda::simt::inspector
