#include "tests/bench/device_report.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "cuda/core/device.hpp"

namespace dsllm::bench {
namespace {

constexpr const char* columns[] = {"median_us", "p10_us", "p90_us", "GB/s", "GFLOP/s", "of_copy"};

std::string today() {
  return fmt::format("{:%Y-%m-%d}", fmt::localtime(std::time(nullptr)));
}

// A cell of a CSV, in quotes if it has to be.
std::string cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

// Why a run has no numbers, or "". Google Benchmark 1.8 renamed what 1.7 calls error_occurred.
template <class Run>
std::string error_of(const Run& run) {
  if constexpr (requires { run.error_occurred; })
    return run.error_occurred ? run.error_message : "";
  else
    return run.skipped ? run.skip_message : "";
}

}  // namespace

void DeviceReport::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    const std::string name = run.run_name.function_name;
    const size_t slash = name.find('/');
    Row row{
        name.substr(0, slash), slash == std::string::npos ? "" : name.substr(slash + 1), error_of(run), {}};
    for (const auto& [counter, value] : run.counters) row.counters[counter] = value.value;
    rows_.push_back(row);
  }
  ConsoleReporter::ReportRuns(runs);
}

bool DeviceReport::failed() const {
  return rows_.empty() ||
         std::any_of(rows_.begin(), rows_.end(), [](const Row& r) { return !r.error.empty(); });
}

std::string DeviceReport::csv(const std::string& commit) const {
  std::string text = fmt::format("# device: {}\n# date: {}\n# commit: {}\n# command: ./run gpu\n",
                                 cuda::device_name(), today(), commit);
  text += "operation,candidate";
  for (const char* c : columns) text += fmt::format(",{}", c);
  text += ",error\n";
  for (const Row& row : rows_) {
    text += cell(row.operation) + "," + cell(row.candidate);
    for (const char* c : columns) {
      const auto found = row.counters.find(c);
      text += found == row.counters.end() ? "," : fmt::format(",{:.6g}", found->second);
    }
    text += "," + cell(row.error) + "\n";
  }
  return text;
}

std::string DeviceReport::markdown(const std::string& commit) const {
  std::string text =
      fmt::format("{}, {}, commit {}: median of 30 runs with a cold L2 cache (10% to 90%).\n\n",
                  cuda::device_name(), today(), commit);
  text += "| operation | kernel | us | GB/s | of a copy | GFLOP/s |\n|---|---|---|---|---|---|\n";
  for (const Row& row : rows_) {
    if (!row.error.empty()) {
      text += fmt::format("| {} | {} | {} | | | |\n", row.operation, row.candidate, row.error);
      continue;
    }
    const auto& c = row.counters;
    text += fmt::format("| {} | {} | {:.1f} ({:.1f} to {:.1f}) | {:.0f} | {:.0f}% | {:.0f} |\n",
                        row.operation, row.candidate, c.at("median_us"), c.at("p10_us"), c.at("p90_us"),
                        c.at("GB/s"), 100 * c.at("of_copy"), c.at("GFLOP/s"));
  }
  return text;
}

}  // namespace dsllm::bench
