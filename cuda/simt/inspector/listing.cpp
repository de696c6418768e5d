#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "cuda/simt/inspector/print.hpp"

namespace dsllm::cuda::simt::inspector {
namespace {

struct Margin {
  Counts global, shared;
  std::vector<std::string> races;
};
using Margins = std::map<int, Margin>;  // by line

bool is_kernel_source(const std::string& file) {
  return file.size() > 3 && file.compare(file.size() - 3, 3, ".cu") == 0;
}

std::map<std::string, Margins> collect(const Report& report) {
  std::map<std::string, Margins> files;
  for (const KernelReport& k : report.kernels) {
    for (const LineReport& l : k.lines)
      if (is_kernel_source(l.line.file)) {
        Margin& m = files[l.line.file][l.line.line];
        (l.shared ? m.shared : m.global) += l.counts;
      }
    for (const RaceReport& r : k.races)
      if (is_kernel_source(r.later.line.file))
        files[r.later.line.file][r.later.line.line].races.push_back(r.text());
  }
  return files;
}

// "32/4": a request's, rounded to one digit behind the point where it is no whole number.
std::string units(const Counts& c) {
  if (c.requests == 0) return "";
  const auto each = [&](int64_t n) {
    const double x = static_cast<double>(n) / static_cast<double>(c.requests);
    return n % c.requests == 0 ? fmt::format("{:.0f}", x) : fmt::format("{:.1f}", x);
  };
  return each(c.units) + "/" + each(c.ideal_units);
}

std::string margin_text(const Margin& m) {
  return fmt::format("{:>9} {:>9} {:>9} {:>11}", m.global.requests + m.shared.requests, units(m.global),
                     units(m.shared), m.global.bytes + m.shared.bytes);
}

}  // namespace

std::string listing(const Report& report) {
  std::string t;
  for (const auto& [file, margins] : collect(report)) {
    t += fmt::format("{}\n{:>9} {:>9} {:>9} {:>11} |\n",
                     std::filesystem::path(file).lexically_normal().string(), "requests", "sectors", "waves",
                     "bytes");
    std::ifstream source(file);
    if (!source) t += "(the source is not where it was compiled)\n";
    int number = 0;
    for (std::string line; std::getline(source, line);) {
      const auto at = margins.find(++number);
      t +=
          fmt::format("{:41} |{:>4}  {}\n", at == margins.end() ? "" : margin_text(at->second), number, line);
      if (at == margins.end()) continue;
      for (const std::string& race : at->second.races) t += fmt::format("{:41} !      {}\n", "", race);
    }
    t += "\n";
  }
  return t;
}

}  // namespace dsllm::cuda::simt::inspector
