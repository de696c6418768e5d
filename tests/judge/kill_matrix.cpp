// The judge, judged: every planted bug must be rejected, and the same code without the bug accepted.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "tests/judge/bugs/bugs.hpp"
#include "tests/judge/judge.hpp"
#include "tests/pairs/registry.hpp"

using namespace dsllm;
using namespace dsllm::tests;

TEST_CASE("kill matrix: what memory and precision can suffer is rejected in every pair") {
  fmt::print("{:34} killed, of all pairs\n", "in the memory of any operation");
  for (const Mutation& mutation : mutations()) {
    int killed = 0;
    for (const Pair& pair : all_pairs()) {
      const Candidate& healthy = pair.candidates.front();
      Candidate sick = healthy;
      sick.run = [&](Call& call) {
        Call before = call;
        healthy.run(call);
        mutation.damage(before, call);
      };
      const Verdict v = judge(pair, sick);
      CHECK_MESSAGE(!v.pass, "survived: " << mutation.name << ", in " << pair.name);
      killed += v.pass ? 0 : 1;
    }
    fmt::print("{:34} {}/{}\n", mutation.name, killed, all_pairs().size());
  }
}

TEST_CASE("kill matrix: wrong copies of every component are rejected, right ones accepted") {
  std::set<std::string> controlled, attacked;
  for (const auto component :
       {embedding_bugs, linear_bugs, rmsnorm_bugs, rope_bugs, attention_bugs, attention_backward_bugs,
        swiglu_bugs, cross_entropy_bugs, lr_schedule_bugs, adamw_bugs, grad_clip_bugs, dpo_bugs})
    for (const Bug& bug : component()) {
      const Verdict v = judge(find_pair(bug.pair), {bug.name, DType::f32, bug.stored, bug.run});
      if (bug.name.empty()) {
        CHECK_MESSAGE(v.pass, bug.pair << ": a right copy was rejected: " << v.reason);
        fmt::print("{:34} {:42} share {:.2f}\n", bug.pair, "(no bug)", v.max_share);
        controlled.insert(bug.pair);
      } else {
        CHECK_MESSAGE(!v.pass, "survived: " << bug.pair << ", " << bug.name);
        fmt::print("{:34} {:42} {}\n", bug.pair, bug.name, v.pass ? "SURVIVED" : "killed: " + v.reason);
        attacked.insert(bug.pair);
      }
    }
  // Without a right copy beside it a killed bug would prove nothing.
  CHECK(controlled == attacked);
  // attention_naive_forward has no wrong copies of its own: its mutations and attention_forward's cover it.
  CHECK(attacked.size() + 1 == all_pairs().size());
}
