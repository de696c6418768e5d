#include <algorithm>
#include <cmath>

#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

struct ClipBug {
  bool squared = false;        // by the squared norm
  bool always = false;         // also scales up
  bool by_element = false;     // each element to [-max_norm, max_norm]
  bool largest = false;        // by the largest element
  bool returns_after = false;  // the norm after clipping
};

Run clip(const ClipBug& bug) {
  return [bug](Call& c) {
    const auto g = c.out<float, 1>("gradient");
    const double max_norm = c.number("max_norm");
    double sum = 0, largest = 0;
    for (int64_t i = 0; i < g.size(); ++i) {
      sum += double{g(i)} * g(i);
      largest = std::max(largest, std::abs(double{g(i)}));
    }
    const double norm = bug.squared ? sum : bug.largest ? largest : std::sqrt(sum);
    const double factor = norm > max_norm || bug.always ? max_norm / norm : 1;
    for (int64_t i = 0; i < g.size(); ++i)
      g(i) =
          static_cast<float>(bug.by_element ? std::clamp(double{g(i)}, -max_norm, max_norm) : g(i) * factor);
    c.out<float, 1>("norm")(0) =
        static_cast<float>(bug.returns_after ? std::min(norm, max_norm) : std::sqrt(sum));
  };
}

}  // namespace

std::vector<Bug> grad_clip_bugs() {
  return {
      {"grad_clip", "", clip({})},
      {"grad_clip", "by the squared norm", clip({.squared = true})},
      {"grad_clip", "scales up as well", clip({.always = true})},
      {"grad_clip", "clips each element", clip({.by_element = true})},
      {"grad_clip", "by the largest element", clip({.largest = true})},
      {"grad_clip", "returns the norm after", clip({.returns_after = true})},
  };
}

}  // namespace dsllm::tests
