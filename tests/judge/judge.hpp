// The judge: runs a candidate on the cases of a pair and says whether it computes what the pair means.
//
// A candidate passes a case if it returns, every output element is written and within its bound of the truth, inputs
// are bit for bit what they were, nothing around any array was touched, and the same holds in place where the
// operation allows that. It runs twice, since a kernel may live on what its first launch left behind; unless it says
// that it is not deterministic, both runs have to give the same bits.
#pragma once

#include <functional>

#include "tests/judge/compare.hpp"
#include "tests/judge/pair.hpp"

namespace dsllm::tests {

// One case in one style of inputs. The inputs depend on the pair's name, the case, the style and the seed alone. Throws
// Error if the operation cannot have such a case: what the truth throws, or ValueError if it is beyond a float's range.
Verdict judge(const Pair& pair, const Candidate& candidate, const Numbers& numbers, Style style,
              uint64_t seed = 0);

// All cases that the candidate supports (one at least), in all styles; stops at the first that fails. The verdict is the
// worst one. before_case is called before each of them; what it throws ends the work.
Verdict judge(const Pair& pair, const Candidate& candidate, uint64_t seed = 0,
              const std::function<void()>& before_case = {});

// The same, for what a candidate has left in `after`, a call that began as make_call gives it: when somebody else ran it,
// to measure its time.
Verdict judge_result(const Pair& pair, const Candidate& candidate, const Numbers& numbers, Style style,
                     uint64_t seed, Call& after);

// The arguments of a case with inputs as the judge draws them, for a candidate of these types.
Call make_call(const Pair& pair, const Numbers& numbers, Style style, const Types& types, uint64_t seed = 0);

// "n = 3, d = 64, wide"
std::string describe(const Numbers& numbers, Style style);

// Bytes that the operation has to move at least: pair.bytes, or inputs and outputs once, updates twice.
int64_t bytes_moved(const Pair& pair, Call& call);

}  // namespace dsllm::tests
