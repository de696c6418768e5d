// dsllm-ref plot, as a function.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace dsllm {

// Draws the training loss of each run (a folder with log.csv) over its tokens. Throws FileError.
void plot_runs(const std::vector<std::string>& runs, std::ostream& out);

}  // namespace dsllm
