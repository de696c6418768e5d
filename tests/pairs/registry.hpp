// The list of everything that is judged. A component's pairs are made by the functions of tests/pairs/<component>.cpp;
// a new one is named here and in registry.cpp.
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
