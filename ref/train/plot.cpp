#include "ref/train/plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "ref/core/error.hpp"

namespace dsllm {
namespace {

constexpr std::string_view marks = "*o+x";

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;

  void include(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  bool empty() const { return low > high; }
  // 0 .. cells - 1; all values of an empty-width range in the first cell.
  int cell(double v, int cells) const {
    if (!(high > low)) return 0;
    return std::clamp(static_cast<int>(std::lround((v - low) / (high - low) * (cells - 1))), 0, cells - 1);
  }
};

bool is_point(const PlotSeries& s, size_t i) {
  return std::isfinite(s.x[i]) && std::isfinite(s.y[i]);
}

}  // namespace

std::string plot(const std::vector<PlotSeries>& series, const PlotOptions& options) {
  if (options.width < 2 || options.height < 2)
    throw ValueError("plot", "a width and a height of at least 2",
                     fmt::format("{} x {}", options.width, options.height));
  Range x;
  for (const PlotSeries& s : series) {
    if (s.x.size() != s.y.size())
      throw ShapeError("plot", fmt::format("as many y as x in '{}'", s.name),
                       fmt::format("{} and {}", s.y.size(), s.x.size()));
    for (size_t i = 0; i < s.x.size(); ++i)
      if (is_point(s, i)) x.include(s.x[i]);
  }
  if (x.empty()) return "(nothing to plot)\n";

  // The mean of each column of each series; NaN where there is no point.
  const size_t width = static_cast<size_t>(options.width);
  std::vector<std::vector<double>> columns;
  Range y;
  for (const PlotSeries& s : series) {
    std::vector<double> sum(width), count(width);
    for (size_t i = 0; i < s.x.size(); ++i) {
      if (!is_point(s, i)) continue;
      const size_t column = static_cast<size_t>(x.cell(s.x[i], options.width));
      sum[column] += s.y[i];
      count[column] += 1;
    }
    for (size_t c = 0; c < width; ++c) {
      sum[c] /= count[c];  // 0 / 0 is NaN
      if (count[c] > 0) y.include(sum[c]);
    }
    columns.push_back(std::move(sum));
  }

  std::vector<std::string> rows(static_cast<size_t>(options.height), std::string(width, ' '));
  for (size_t s = 0; s < columns.size(); ++s)
    for (size_t c = 0; c < width; ++c)
      if (!std::isnan(columns[s][c])) {
        const int from_bottom = y.cell(columns[s][c], options.height);
        rows[static_cast<size_t>(options.height - 1 - from_bottom)][c] = marks[s % marks.size()];
      }

  std::string text = options.y_label.empty() ? "" : fmt::format("{:>9}\n", options.y_label);
  for (int row = 0; row < options.height; ++row) {
    // A number at the top, at the bottom and at every fourth row between.
    const double value = y.high - (y.high - y.low) * row / (options.height - 1);
    const int below = options.height - 1 - row;
    const bool numbered = row == 0 || below == 0 || (row % 4 == 0 && below >= 3);
    std::string& cells = rows[static_cast<size_t>(row)];
    cells.erase(cells.find_last_not_of(' ') + 1);
    text += fmt::format("{:>9} |{}\n", numbered ? fmt::format("{:.4g}", value) : "", cells);
  }
  text += fmt::format("{:>9} +{}\n", "", std::string(width, '-'));
  const std::string low = fmt::format("{:g}", x.low), high = fmt::format("{:g}", x.high);
  const std::string middle = options.x_label;
  const size_t used = low.size() + middle.size() + high.size();
  const size_t gaps = width > used ? width - used : 2;
  text += fmt::format("{:>10} {}{}{}{}{}\n", "", low, std::string(gaps / 2, ' '), middle,
                      std::string(gaps - gaps / 2, ' '), high);
  for (size_t s = 0; s < series.size(); ++s)
    text += fmt::format("{:>10} {} {}\n", "", marks[s % marks.size()], series[s].name);
  return text;
}

}  // namespace dsllm
