#include "tests/judge/compare.hpp"

#include <fmt/format.h>

namespace dsllm::tests {

void compare(const std::string& name, std::span<const double> got, std::span<const double> truth,
             std::span<const double> bound, Verdict& verdict) {
  if (got.size() != truth.size() || got.size() != bound.size()) {
    verdict.pass = false;
    verdict.reason = fmt::format("{}: {} elements, the truth has {}", name, got.size(), truth.size());
    return;
  }
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - truth[i]);
    const double share = error == 0 ? 0 : error / bound[i];
    const bool pass = error <= bound[i];  // false for NaN in any of the three
    ++verdict.elements;
    if (!(error <= verdict.max_error)) verdict.max_error = error;
    if (share > verdict.max_share || (!pass && verdict.pass)) {
      verdict.max_share = share;
      verdict.error = error;
      verdict.worst = fmt::format("{}[{}]", name, i);
    }
    if (!pass && verdict.pass) {
      verdict.pass = false;
      verdict.reason = fmt::format("{}[{}]: {:.9g}, the truth is {:.9g}; error {:.2g}, bound {:.2g}", name, i,
                                   got[i], truth[i], error, bound[i]);
    }
  }
}

}  // namespace dsllm::tests
