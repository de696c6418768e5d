// Verdicts in words, as JSON, and as the table of the README.
#pragma once

#include <string>
#include <vector>

#include "ref/core/json_fwd.hpp"
#include "tests/verify/verify.hpp"

namespace dsllm::tests {

// "pass  rmsnorm_forward  ref float  ref  error 2.4e-07 at y[35] of n = 300, d = 3, wide: 0.38 of its bound", without
// an end of line.
std::string line_of(const Result& result);

// "61 verdicts on 27 operations: all pass", or how many fail.
std::string summary(const std::vector<Result>& results);

// {"results": [...], "failed": 0}; the fields of a result are those of json_help. Numbers that are not finite are null.
Json to_json(const std::vector<Result>& results);
// The reverse, of what a program of the same build wrote. Throws FileError with `source` as its name.
std::vector<Result> results_from_json(const Json& json, const std::string& source);
extern const char* const json_help;

// Name, section, cases and candidates of each pair.
std::string list_text(const std::vector<Pair>& pairs);
Json list_json(const std::vector<Pair>& pairs);

// "ref float; kernels: one thread a row (float, bf16), registers (bf16)" of the names of an operation's candidates.
std::string candidates_text(const std::vector<std::string>& names);

// | operation | paper | candidates | worst share of its bound |
std::string markdown(const std::vector<Result>& results);

}  // namespace dsllm::tests
