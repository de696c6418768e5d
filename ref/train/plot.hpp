// Curves in a terminal: plain characters, two axes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dsllm {

struct PlotSeries {
  std::string name;
  std::vector<double> x, y;  // of equal length; points that are not finite are left out
};

struct PlotOptions {
  std::string x_label, y_label;
  int width = 64, height = 16;  // of the area between the axes, in characters
};

// The series as lines of text, marked * o + x in their order, with a legend below. Of several points of one series in one
// column their mean is drawn; later series are drawn over earlier ones. Without any point: "(nothing to plot)\n". Throws
// ShapeError if x and y differ in length, ValueError for a width or height below 2.
std::string plot(const std::vector<PlotSeries>& series, const PlotOptions& options = {});

}  // namespace dsllm
