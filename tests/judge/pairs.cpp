// Every candidate of every pair, before the judge.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "ref/core/parallel.hpp"
#include "tests/judge/judge.hpp"
#include "tests/pairs/registry.hpp"

using namespace dsllm;
using namespace dsllm::tests;

TEST_CASE("pairs: every candidate computes what its pair means, in every case") {
  fmt::print("{:34} {:24} {:>9} {:>9}  of its bound, at\n", "pair", "candidate", "elements", "share");
  for (const Pair& pair : all_pairs()) {
    CHECK(!pair.candidates.empty());
    for (const Candidate& candidate : pair.candidates) {
      const Verdict v = judge(pair, candidate);
      fmt::print("{:34} {:24} {:9} {:9.2f}  {}\n", pair.name, candidate.name, v.elements, v.max_share,
                 v.worst);
      CHECK_MESSAGE(v.pass, pair.name << ", " << candidate.name << ": " << v.reason);
      CHECK(v.elements > 0);
    }
  }
}

TEST_CASE("pairs: results do not depend on the number of threads, bit for bit") {
  for (const Pair& pair : all_pairs())
    for (const Candidate& candidate : pair.candidates)
      for (const Numbers& numbers : pair.cases) {
        if (!candidate.traits.deterministic || !candidate.supports(numbers)) continue;
        const auto run_with = [&](int n) {
          Call call = make_call(pair, numbers, pair.styles.front(), candidate.types());
          set_threads(n);
          candidate.run(call);
          return call;
        };
        Call one = run_with(1);
        for (const int n : {2, 5}) {
          Call many = run_with(n);
          for (const Argument& a : one.arguments())
            CHECK_MESSAGE(one.array(a.name).same_bytes(many.array(a.name)),
                          pair.name << ", " << describe(numbers, pair.styles.front()) << ": " << a.name);
        }
      }
  set_threads(0);
}
