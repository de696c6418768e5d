// Where inputs come from: a seeded generator with nothing of the project in it.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "ref/core/error.hpp"

namespace dsllm::tests {

enum class Style {
  normal,  // N(0, 1)
  wide,  // N(0, 1) times a power of two from 2^-12 to 2^12: a bound must follow each element, not the largest
  integers,  // from -4 to 4: sums and products of few of them are exact in any type, so the bound is zero
};

class Draw {
 public:
  Draw(uint64_t seed, Style style) : state_(seed), style_(style) {}

  Style style() const { return style_; }

  // n numbers of the style. Throws ValueError for more than a judge should draw: the truth takes 8 bytes for each.
  std::vector<double> real(int64_t n, double scale = 1) {
    check(n);
    std::vector<double> x(static_cast<size_t>(n));
    for (double& v : x) v = scale * one();
    return x;
  }
  // n whole numbers from low to high.
  std::vector<double> index(int64_t n, int64_t low, int64_t high) {
    check(n);
    std::vector<double> x(static_cast<size_t>(n));
    for (double& v : x) v = static_cast<double>(integer(low, high));
    return x;
  }
  int64_t integer(int64_t low, int64_t high) {
    if (low > high)
      throw ValueError("draw", "a range", "one from " + std::to_string(low) + " to " + std::to_string(high));
    return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1));
  }
  double uniform() { return (static_cast<double>(bits() >> 11) + 0.5) * 0x1p-53; }
  // Box and Muller, whatever the style.
  double normal() { return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * M_PI * uniform()); }

 private:
  static void check(int64_t n) {
    if (n < 0 || n > int64_t{1} << 28)
      throw ValueError("draw", "at most 2^28 elements in an argument", std::to_string(n));
  }

  double one() {
    if (style_ == Style::integers) return static_cast<double>(integer(-4, 4));
    const double x = normal();
    return style_ == Style::wide ? std::ldexp(x, static_cast<int>(integer(-12, 12))) : x;
  }

  // SplitMix64 (Steele, Lea and Flood 2014).
  uint64_t bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  uint64_t state_;
  Style style_;
};

}  // namespace dsllm::tests
