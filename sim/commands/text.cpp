#include "sim/commands/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <utility>

#include "ref/core/error.hpp"

namespace dsllm::sim {

namespace {

using Unit = std::pair<double, const char*>;

// Three digits in the largest unit that leaves one before the point; the last unit takes what is smaller.
template <size_t N>
std::string in_units(double x, const std::array<Unit, N>& units) {
  if (x == 0 || !std::isfinite(x)) {
    const auto plain = std::find_if(units.begin(), units.end(), [](const Unit& u) { return u.first == 1; });
    return fmt::format("{} {}", x, plain->second);
  }
  for (size_t i = 0; i < N; ++i) {
    const double value = x / units[i].first;
    // 999.7 would be rounded to 1000 of this unit: it is 1.00 of the one above.
    if (std::abs(value) < 0.9995 && i + 1 < N) continue;
    const int decimals = std::abs(value) < 9.995 ? 2 : std::abs(value) < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f} {}", value, decimals, units[i].second);
  }
  return "";
}

}  // namespace

std::string with_commas(int64_t n) {
  std::string text = fmt::to_string(n);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > (n < 0 ? 1 : 0); at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::string bytes_text(double bytes) {
  // GB up to 999 TB, since the memory of GPUs is sold in it.
  return in_units(bytes,
                  std::array<Unit, 5>{{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}}});
}

std::string seconds_text(double seconds) {
  return in_units(seconds, std::array<Unit, 4>{{{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}}});
}

std::string flops_text(double flops) {
  return in_units(flops, std::array<Unit, 7>{{{1e21, "ZFLOPs"},
                                              {1e18, "EFLOPs"},
                                              {1e15, "PFLOPs"},
                                              {1e12, "TFLOPs"},
                                              {1e9, "GFLOPs"},
                                              {1e6, "MFLOPs"},
                                              {1, "FLOPs"}}});
}

std::string flop_rate_text(double flops_per_s) {
  return in_units(flops_per_s, std::array<Unit, 4>{
                                   {{1e15, "PFLOP/s"}, {1e12, "TFLOP/s"}, {1e9, "GFLOP/s"}, {1, "FLOP/s"}}});
}

std::string power_text(double x) {
  std::string text = fmt::format("{:.4g}", x);
  if (const size_t plus = text.find("e+"); plus != std::string::npos) text.erase(plus + 1, 1);
  return text;
}

std::string percent_text(double fraction) {
  return fmt::format("{:.1f}%", 100 * fraction);
}

std::string duration_text(double seconds) {
  if (seconds >= 2 * 86400.0) return fmt::format("{:.1f} days", seconds / 86400);
  if (seconds >= 2 * 3600.0) return fmt::format("{:.1f} hours", seconds / 3600);
  return seconds_text(seconds);
}

void check_width(int64_t width) {
  if (width != 0 && (width < 10 || width > 1000))
    throw ConfigError("width", "columns of a timeline from 10 to 1000, or 0 for none", fmt::to_string(width));
}

TextTable::TextTable(std::vector<std::string> header, std::vector<size_t> align_left)
    : left_(header.size(), false) {
  left_.at(0) = true;
  for (const size_t column : align_left) left_.at(column) = true;
  rows_.push_back(std::move(header));
}

void TextTable::add(std::vector<std::string> row) {
  assert(row.size() == left_.size());
  rows_.push_back(std::move(row));
}

void TextTable::print(std::ostream& out, const char* indent) const {
  std::vector<size_t> width(left_.size(), 0);
  for (const auto& row : rows_)
    for (size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
  for (const auto& row : rows_) {
    std::string line = indent;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string space(width[c] - row[c].size(), ' ');
      line += (c > 0 ? "  " : "") + (left_[c] ? row[c] + space : space + row[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << "\n";
  }
}

std::string TextTable::csv() const {
  std::string text;
  for (const auto& row : rows_) {
    for (size_t c = 0; c < row.size(); ++c) {
      if (c > 0) text += ',';
      if (row[c].find_first_of(",\"\n") == std::string::npos) {
        text += row[c];
        continue;
      }
      text += '"';
      for (const char letter : row[c]) text += letter == '"' ? std::string("\"\"") : std::string(1, letter);
      text += '"';
    }
    text += '\n';
  }
  return text;
}

}  // namespace dsllm::sim
