// What the benchmarks measured on a GPU, as a CSV to keep and a Markdown table to read.
#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

namespace dsllm::bench {

// Prints as Google Benchmark does, and keeps the numbers.
class DeviceReport : public benchmark::ConsoleReporter {
 public:
  struct Row {
    std::string operation, candidate;
    std::string error;  // why there are no numbers
    std::map<std::string, double> counters;
  };

  void ReportRuns(const std::vector<Run>& runs) override;

  const std::vector<Row>& rows() const { return rows_; }
  bool failed() const;

  // `#` lines say where, when and of what: device and driver, date, commit. Then one row a candidate:
  //   operation,candidate,median_us,p10_us,p90_us,GB/s,GFLOP/s,of_copy,error
  std::string csv(const std::string& commit) const;
  std::string markdown(const std::string& commit) const;

 private:
  std::vector<Row> rows_;
};

}  // namespace dsllm::bench
