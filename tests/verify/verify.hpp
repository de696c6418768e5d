// What dsllm-verify does, as functions: which pairs, which case, the verdicts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/judge/judge.hpp"

namespace dsllm::tests {

struct VerifyOptions {
  std::vector<std::string> operations;  // none: all
  std::optional<std::string> shape;     // "n=3,d=64", in place of the pair's cases; with one operation
  uint64_t seed = 0;                    // of the inputs
};

struct Result {
  std::string operation, section, candidate;
  Backend backend = Backend::ref;
  int64_t cases = 0;  // times styles, that were judged (or would have been, had none failed)
  Verdict verdict;
};

// "ref", "cpu", "device", as the output has it.
std::string name_of(Backend backend);

// The pairs of these names, with `shape` as their one case. Throws UsageError that lists what there is.
std::vector<Pair> chosen_pairs(const VerifyOptions& options);

// "n=3,d=64,eps=1e-06": every field that the cases of the pair have, once. Throws UsageError with those cases.
Numbers parse_shape(const Pair& pair, const std::string& text);
std::string shape_text(const Numbers& numbers);

// Cases times styles that the candidate supports.
int64_t count_cases(const Pair& pair, const Candidate& candidate);

// What watches over a candidate's cases: begin() before the first, end(result) after the last; end may fail the verdict.
struct Watch {
  std::function<void()> begin;
  std::function<void(const Pair&, const Candidate&, Result&)> end;
};

// A race fails a verdict that the numbers passed; a verdict that failed keeps its reason.
void reject_races(const std::string& races, Verdict& verdict);

// Every candidate that `mine` accepts. report is called with each result when it is there, before_case before each case;
// what that throws ends the work. Throws UsageError if the operation cannot have the shape that was given.
std::vector<Result> verify(const std::vector<Pair>& pairs, const VerifyOptions& options,
                           const std::function<bool(const Candidate&)>& mine,
                           const std::function<void(const Result&)>& report = {},
                           const std::function<void()>& before_case = {}, const Watch* watch = nullptr);

}  // namespace dsllm::tests
