// The judge before wrong kernels, as in kill_matrix.cpp before wrong loops. A kernel that lacks a barrier may come out right
// in one order of its threads, so every copy runs in several: a bug must be rejected in one of them at least, a right
// copy accepted in all.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "cuda/simt/order.hpp"
#include "tests/judge/bugs/cuda/bugs.hpp"
#include "tests/judge/judge.hpp"
#include "tests/pairs/registry.hpp"

using namespace dsllm;
using namespace dsllm::tests;

namespace {

const char* const orders[] = {"forward", "backward", "random:1", "random:2"};

struct UsualOrder {
  ~UsualOrder() { cuda::simt::set_order("forward"); }
};

// The first line of a message, which may be long.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

TEST_CASE("kill matrix: wrong kernels are rejected, right ones accepted in every order of threads") {
  const UsualOrder usual;
  std::set<std::string> controlled, attacked, bugs;
  for (const auto component : {rmsnorm_kernel_bugs, rope_kernel_bugs, swiglu_kernel_bugs,
                               attention_kernel_bugs, cross_entropy_kernel_bugs, embedding_kernel_bugs,
                               lr_schedule_kernel_bugs, adamw_kernel_bugs, grad_clip_kernel_bugs})
    for (const KernelBug& bug : component()) {
      const Candidate& c = bug.candidate;
      const std::string type(dsllm::describe(c.real).name), subject = bug.pair + " " + type;
      std::string killed;
      for (const char* order : orders) {
        cuda::simt::set_order(order);
        const Verdict v = judge(find_pair(bug.pair), c);
        if (c.name.empty())
          CHECK_MESSAGE(v.pass, subject << ", " << order << ": a right copy was rejected: " << v.reason);
        if (!v.pass) killed = fmt::format("killed, {}: {}", order, first_line(v.reason));
        if (!v.pass) break;
      }
      if (c.name.empty()) {
        controlled.insert(subject);
        continue;
      }
      CHECK_MESSAGE(!killed.empty(), "survived: " << subject << ", " << c.name);
      fmt::print("{:36} {:46} {}\n", subject, c.name, killed.empty() ? "SURVIVED" : killed);
      attacked.insert(subject);
      bugs.insert(bug.pair + c.name);
    }
  CHECK(controlled == attacked);
  CHECK(bugs.size() >= 40);
  fmt::print("{} bugs of kernels\n", bugs.size());
}
