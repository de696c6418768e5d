// Numbers with their units, and tables, as the reports print them.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace dsllm::sim {

std::string with_commas(int64_t n);              // 6910365696 -> 6,910,365,696
std::string bytes_text(double bytes);            // 91.3 GB (1e9 bytes), 512 MB, 0 B
std::string seconds_text(double seconds);        // 12.3 s, 45.6 ms, 7.89 us
std::string flops_text(double flops);            // 3.14 EFLOPs; a number of operations, not a rate
std::string flop_rate_text(double flops_per_s);  // 990 TFLOP/s
std::string power_text(double x);                // 2e12, 1.5e23: four digits
std::string percent_text(double fraction);       // 22.6%
std::string duration_text(double seconds);       // 12.3 days, 4.5 hours: of a whole training

// Throws ConfigError unless a timeline can have so many columns: 0 for none, or 10 to 1000.
void check_width(int64_t width);

// Columns as wide as their widest cell: the first to the left, the others to the right. `align_left`: also these.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header, std::vector<size_t> align_left = {});
  void add(std::vector<std::string> row);  // as many cells as the header
  void print(std::ostream& out, const char* indent = "  ") const;
  // Comma-separated; a cell with a comma or a quote stands in quotes.
  std::string csv() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> left_;
};

}  // namespace dsllm::sim
