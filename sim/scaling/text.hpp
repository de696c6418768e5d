// How the reports of this folder write numbers.
#pragma once

#include <fmt/format.h>

#include <string>

#include "sim/scaling/fit.hpp"

namespace dsllm::sim {

// Four significant digits, or as many as asked for: 5.251e9, 0.9324, 1e20.
inline std::string compact(double x, int digits = 4) {
  std::string text = fmt::format("{:.{}g}", x, digits);
  if (const size_t at = text.find("e+"); at != std::string::npos) {
    text.erase(at + 1, 1);
    if (text[at + 1] == '0') text.erase(at + 1, 1);
  }
  return text;
}

// "0.3118 * (1e20)^-0.125"
inline std::string with_numbers(const PowerLaw& law, double c) {
  return fmt::format("{} * ({})^{}", compact(law.base, 5), compact(c), compact(law.exponent));
}

// "0.5269 [0.5110, 0.5398]"
inline std::string with_interval(double x, const Interval& interval, int decimals = 4) {
  return fmt::format("{:.{}f} [{:.{}f}, {:.{}f}]", x, decimals, interval.low, decimals, interval.high,
                     decimals);
}

}  // namespace dsllm::sim
