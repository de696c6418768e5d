// The best layouts of a model on a cluster, and what the others lack.
#pragma once

#include <ostream>
#include <string>

#include "ref/core/progress.hpp"
#include "sim/commands/scenario_options.hpp"
#include "sim/search/sweep.hpp"

namespace dsllm::sim {

struct SearchCommand {
  ScenarioOptions scenario;  // layout fields that are given are fixed; --save writes the best layout
  int64_t top = 10;
  bool json = false;
  std::string csv;  // a file for the table of the best
};

// progress: where to show how far the search is. Returns the program's exit status: 1 if no layout fits.
int search_command(const SearchCommand& options, std::ostream& out, const Progress::Output& progress);

struct SweepCommand {
  ScenarioOptions scenario;     // --gpus is where it starts
  bool weak = false;            // the global batch grows with the GPUs
  int64_t to = 0;               // doubled until this many GPUs; 0: 8 times the start
  std::vector<int64_t> counts;  // these numbers of GPUs; empty: doubled
  bool json = false;
  std::string csv;
};

void sweep_command(const SweepCommand& options, std::ostream& out);

// Cells that describe a layout to a reader, and their names.
std::vector<std::string> layout_header();
std::vector<std::string> layout_cells(const Layout& layout);
// All fields, for a program.
std::vector<std::string> layout_fields();
std::vector<std::string> layout_values(const Layout& layout);

}  // namespace dsllm::sim
