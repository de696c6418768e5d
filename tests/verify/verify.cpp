#include "tests/verify/verify.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "ref/core/error.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

[[noreturn]] void refuse_shape(const Pair& pair, const std::string& got) {
  std::string text = got + ". Its own shapes are";
  for (const Numbers& numbers : pair.cases) text += "\n    " + shape_text(numbers);
  throw UsageError("--shape", "a shape of " + pair.name, text);
}

}  // namespace

std::string name_of(Backend backend) {
  return backend == Backend::ref ? "ref" : backend == Backend::cuda_on_cpu ? "cpu" : "device";
}

std::string shape_text(const Numbers& numbers) {
  std::vector<std::string> fields;
  for (const auto& [name, value] : numbers) fields.push_back(fmt::format("{}={}", name, value));
  return fmt::format("{}", fmt::join(fields, ","));
}

Numbers parse_shape(const Pair& pair, const std::string& text) {
  const Numbers& example = pair.cases.front();
  Numbers numbers;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string field = text.substr(at, end - at);
    at = end + 1;
    const size_t sign = std::min(field.find('='), field.size());
    const std::string name = field.substr(0, sign);
    const char *first = field.data() + std::min(sign + 1, field.size()), *last = field.data() + field.size();
    double value = 0;
    const auto [stop, error] = std::from_chars(first, last, value);
    if (error != std::errc() || stop != last || !(std::abs(value) <= std::numeric_limits<float>::max()))
      refuse_shape(pair, fmt::format("'{}'", field));
    if (example.count(name) == 0) refuse_shape(pair, fmt::format("the field '{}'", name));
    if (!numbers.emplace(name, value).second) refuse_shape(pair, fmt::format("'{}' twice", name));
  }
  for (const auto& [name, value] : example)
    if (numbers.count(name) == 0) refuse_shape(pair, fmt::format("'{}', which lacks {}", text, name));
  return numbers;
}

std::vector<Pair> chosen_pairs(const VerifyOptions& options) {
  std::vector<Pair> chosen;
  for (const std::string& name : options.operations) {
    std::string names = "'" + name + "'. There are";
    const Pair* found = nullptr;
    for (const Pair& pair : all_pairs()) {
      if (pair.name == name) found = &pair;
      names += "\n    " + pair.name;
    }
    if (found == nullptr) throw UsageError("--op", "the name of an operation", names);
    chosen.push_back(*found);
  }
  if (options.operations.empty()) chosen = all_pairs();
  if (!options.shape) return chosen;
  if (chosen.size() != 1)
    throw UsageError("--shape", "one operation with it, by --op", fmt::format("{}", chosen.size()));
  chosen[0].cases = {parse_shape(chosen[0], *options.shape)};
  return chosen;
}

int64_t count_cases(const Pair& pair, const Candidate& candidate) {
  int64_t cases = 0;
  for (const Numbers& numbers : pair.cases)
    if (candidate.supports(numbers)) cases += static_cast<int64_t>(pair.styles.size());
  return cases;
}

void reject_races(const std::string& races, Verdict& verdict) {
  if (races.empty() || !verdict.pass) return;
  verdict.pass = false;
  verdict.reason = "the numbers are right by luck: " + races;
}

std::vector<Result> verify(const std::vector<Pair>& pairs, const VerifyOptions& options,
                           const std::function<bool(const Candidate&)>& mine,
                           const std::function<void(const Result&)>& report,
                           const std::function<void()>& before_case, const Watch* watch) {
  std::vector<Result> results;
  for (const Pair& pair : pairs)
    for (const Candidate& candidate : pair.candidates) {
      if (!mine(candidate)) continue;
      Result r{pair.name, pair.section, candidate.name, candidate.backend, count_cases(pair, candidate), {}};
      // A shape that somebody chose need not suit each step of a ladder.
      if (options.shape && r.cases == 0) continue;
      if (watch) watch->begin();
      try {
        r.verdict = judge(pair, candidate, options.seed, before_case);
      } catch (const Error& e) {
        if (!options.shape) throw;
        refuse_shape(find_pair(pair.name), fmt::format("{} ({})", *options.shape, e.what()));
      }
      if (watch) watch->end(pair, candidate, r);
      if (report) report(r);
      results.push_back(std::move(r));
    }
  return results;
}

}  // namespace dsllm::tests
