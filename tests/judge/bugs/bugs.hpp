// Planted bugs. Each is a candidate that computes something wrong in a way that people really get wrong; the judge has
// to reject every one of them, and to accept the same code without the bug.
#pragma once

#include <string>
#include <vector>

#include "tests/judge/pair.hpp"

namespace dsllm::tests {

struct Bug {
  std::string pair;
  std::string name;  // empty: the same code without a bug
  Run run;
  DType stored = DType::f32;  // bf16 for a candidate that stores bf16; arithmetic is float
};

// Bugs of memory and precision that any operation can have, planted after a correct run.
struct Mutation {
  std::string name;
  void (*damage)(Call& before, Call& after);
};
std::vector<Mutation> mutations();

// Wrong copies, by component.
std::vector<Bug> embedding_bugs();
std::vector<Bug> linear_bugs();
std::vector<Bug> rmsnorm_bugs();
std::vector<Bug> rope_bugs();
std::vector<Bug> attention_bugs();
std::vector<Bug> attention_backward_bugs();
std::vector<Bug> swiglu_bugs();
std::vector<Bug> cross_entropy_bugs();
std::vector<Bug> lr_schedule_bugs();
std::vector<Bug> adamw_bugs();
std::vector<Bug> grad_clip_bugs();
std::vector<Bug> dpo_bugs();

}  // namespace dsllm::tests
