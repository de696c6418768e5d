// The list of everything that is judged. tests/pairs/<component>.cpp makes the pairs of a component; swiglu.cpp is a short
// one to begin with. A new pair says, as fields of Pair (tests/judge/pair.hpp): the sizes it is tried with, the arguments
// with their roles and shapes and how they are drawn, the truth, the candidates, and an error bound with its reason; then
// its function is named here and in registry.cpp. Tests, verifier and benchmarks follow from that.
//
// A candidate on a device is a function of the same Call: it copies the arrays there, guards included, and back.
#pragma once

#include <string>
#include <vector>

#include "tests/judge/pair.hpp"

namespace dsllm::tests {

const std::vector<Pair>& all_pairs();
// Throws ValueError, listing the names.
const Pair& find_pair(const std::string& name);

// ref/model (paper 2.2)
std::vector<Pair> embedding_pairs();
std::vector<Pair> linear_pairs();
std::vector<Pair> rmsnorm_pairs();
std::vector<Pair> rope_pairs();
std::vector<Pair> attention_pairs();
std::vector<Pair> swiglu_pairs();
std::vector<Pair> cross_entropy_pairs();
// ref/train (2.3) and ref/align (4)
std::vector<Pair> adamw_pairs();
std::vector<Pair> grad_clip_pairs();
std::vector<Pair> dpo_pairs();

}  // namespace dsllm::tests
