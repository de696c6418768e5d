#include "tests/pairs/registry.hpp"

#include "ref/core/error.hpp"

namespace dsllm::tests {

const std::vector<Pair>& all_pairs() {
  static const std::vector<Pair> all = [] {
    std::vector<Pair> pairs;
    for (const auto component : {embedding_pairs, linear_pairs, rmsnorm_pairs, rope_pairs, attention_pairs,
                                 swiglu_pairs, cross_entropy_pairs, lr_schedule_pairs, adamw_pairs,
                                 grad_clip_pairs, optimizer_steps_pairs, dpo_pairs})
      for (Pair& pair : component()) pairs.push_back(std::move(pair));
    return pairs;
  }();
  return all;
}

const Pair& find_pair(const std::string& name) {
  std::string names;
  for (const Pair& pair : all_pairs()) {
    if (pair.name == name) return pair;
    names += (names.empty() ? "" : ", ") + pair.name;
  }
  throw ValueError("find_pair", "one of " + names, "'" + name + "'");
}

}  // namespace dsllm::tests
