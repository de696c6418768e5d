// The parts of the judge, each on its own.
#include <doctest/doctest.h>

#include "ref/core/bf16.hpp"
#include "tests/judge/gradient.hpp"
#include "tests/judge/judge.hpp"
#include "tests/pairs/registry.hpp"

using namespace dsllm;
using namespace dsllm::tests;

TEST_CASE("compare: an error up to the bound passes, a larger one and any NaN fail") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto verdict = [](double got, double truth, double bound) {
    Verdict v;
    compare("y", {&got, 1}, {&truth, 1}, {&bound, 1}, v);
    return v;
  };
  CHECK(verdict(1.5, 1, 0.5).pass);
  CHECK(verdict(1.5, 1, 0.5).max_share == 1);
  CHECK_FALSE(verdict(1.5, 1, 0.25).pass);
  CHECK(verdict(1.5, 1, 0.25).reason == "y[0]: 1.5, the truth is 1; error 0.5, bound 0.25");
  CHECK(verdict(1, 1, 0).pass);
  CHECK_FALSE(verdict(nan, 1, 0.5).pass);
  CHECK_FALSE(verdict(1, nan, 0.5).pass);
  CHECK_FALSE(verdict(1, 1, nan).pass);
  CHECK_FALSE(verdict(nan, nan, 0.5).pass);
  CHECK_FALSE(verdict(INFINITY, INFINITY, 1).pass);
}

TEST_CASE("compare: names the element with the largest share of its bound, not with the largest error") {
  const double got[] = {100, 1.001, 5}, truth[] = {101, 1, 5}, bound[] = {10, 0.002, 1};
  Verdict v;
  compare("y", got, truth, bound, v);
  CHECK(v.pass);
  CHECK(v.worst == "y[1]");
  CHECK(v.max_error == 1);
  CHECK(v.elements == 3);
  const double two[] = {1, 2};
  compare("y", two, truth, bound, v);
  CHECK_FALSE(v.pass);
}

TEST_CASE("guarded array: shows what was not written, and what was written outside") {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i32}) {
    GuardedArray x(dtype, {2, 3});
    CHECK(reinterpret_cast<uintptr_t>(x.elements()) % 64 == 0);
    if (dtype != DType::i32) CHECK(std::isnan(x.get(5)));
    for (int64_t i = 0; i < 6; ++i) CHECK_FALSE(x.was_written(i));
    x.set(5, -3);
    CHECK(x.get(5) == -3);
    CHECK(x.was_written(5));
    CHECK_FALSE(x.was_written(4));
    CHECK(x.guards_intact());
    const GuardedArray before = x;
    CHECK(x.same_bytes(before));
    x.elements()[6 * describe(dtype).size] = std::byte{1};
    CHECK_FALSE(x.guards_intact());
    CHECK_FALSE(x.same_bytes(before));
  }
}

TEST_CASE("guarded array: refuses a view of another type or rank") {
  GuardedArray x(DType::f32, {2, 3});
  CHECK_NOTHROW(x.view<float, 2>());
  CHECK_THROWS_WITH((x.view<double, 2>()), "GuardedArray: expected F32 of rank 2, got F64 of rank 2");
  CHECK_THROWS_WITH((x.view<float, 1>()), "GuardedArray: expected F32 of rank 2, got F32 of rank 1");
}

TEST_CASE("gradient check: accepts a right gradient, rejects one that is off by a millionth") {
  double x[] = {0.7, -1.3};
  const auto f = [&] { return std::exp(x[0]) * std::sin(3 * x[1]); };
  const double gradient[] = {std::exp(0.7) * std::sin(-3.9), 3 * std::exp(0.7) * std::cos(-3.9)};
  const View<double, 1> at(x, {2});
  CHECK(check_gradient(f, at, View<const double, 1>(gradient, {2}), 2).pass);
  CHECK(x[0] == 0.7);  // put back, bit for bit
  for (const int wrong : {0, 1}) {
    double off[] = {gradient[0], gradient[1]};
    off[wrong] *= 1 + 1e-6;
    CHECK_FALSE(check_gradient(f, at, View<const double, 1>(off, {2}), 2).pass);
  }
  const double nan[] = {gradient[0], std::numeric_limits<double>::quiet_NaN()};
  CHECK_FALSE(check_gradient(f, at, View<const double, 1>(nan, {2}), 2).pass);
}

TEST_CASE("gradient check: does not pass where differences cannot tell") {
  double x[] = {1e-4};  // nearer to the kink of |x| than one step
  const auto f = [&] { return std::abs(x[0]); };
  const double gradient[] = {1};
  const Verdict v = check_gradient(f, View<double, 1>(x, {1}), View<const double, 1>(gradient, {1}), 1);
  CHECK_FALSE(v.pass);
}

namespace {

// y = 1.001 x and sum += x.
Pair scaling(Style style) {
  Pair p("scaling", "none");
  p.cases = {{{"n", 5}}, {{"n", 33}}};
  p.styles = {style};
  p.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n");
    return {{"x", Role::input, {n}, draw.real(n)},
            {"y", Role::output, {n}},
            {"sum", Role::update, {n}, draw.real(n), Kind::wide}};
  };
  p.truth = [](Call& c) {
    for (int64_t i = 0; i < c.size("n"); ++i) {
      c.out<double, 1>("y")(i) = 1.001 * c.in<double, 1>("x")(i);
      c.out<double, 1>("sum")(i) += c.in<double, 1>("x")(i);
    }
  };
  p.bounds = [](Call&, Call& truth, double eps) -> Bounds {
    Bounds b;
    for (const char* name : {"y", "sum"})
      for (const double x : truth.array(name).get_all()) b[name].push_back(4 * eps * (std::abs(x) + 1));
    return b;
  };
  return p;
}

Candidate in_bf16(Run run, Traits traits = {}) {
  return {"bf16", DType::bf16, DType::bf16, std::move(run), DType::f32, Backend::ref, std::move(traits)};
}

void right(Call& c) {
  for (int64_t i = 0; i < c.size("n"); ++i) {
    c.out<bf16, 1>("y")(i) = bf16(1.001f * c.in<bf16, 1>("x")(i));
    c.out<float, 1>("sum")(i) += c.in<bf16, 1>("x")(i);
  }
}

}  // namespace

TEST_CASE(
    "judge: a candidate in bf16 computes in float, keeps wide arguments in float and rounds the others "
    "once") {
  const Pair p = scaling(Style::normal);
  const Call call = make_call(p, p.cases[0], Style::normal, in_bf16(right).types());
  for (const Argument& a : call.arguments())
    CHECK(Call(call).array(a.name).dtype() == (a.name == "sum" ? DType::f32 : DType::bf16));
  CHECK(judge(p, in_bf16(right)).pass);

  const auto sum_in_bf16 = [](Call& c) {
    right(c);
    for (int64_t i = 0; i < c.size("n"); ++i) c.out<float, 1>("sum")(i) = bf16(c.out<float, 1>("sum")(i));
  };
  CHECK_FALSE(judge(p, in_bf16(sum_in_bf16)).pass);
  const auto rounded_twice_the_wrong_way = [](Call& c) {
    right(c);
    for (int64_t i = 0; i < c.size("n"); ++i) c.out<bf16, 1>("y")(i).bits += 1;
  };
  CHECK_FALSE(judge(p, in_bf16(rounded_twice_the_wrong_way)).pass);
}

TEST_CASE("judge: where a result must be exact, one in bf16 is the truth rounded to nearest") {
  // Integers up to 4, times 1.001: no product is a bf16, and the float beside it rounds to the same one.
  const Pair p = scaling(Style::integers);
  CHECK(judge(p, in_bf16(right)).pass);
  const auto truncates = [](Call& c) {
    right(c);
    for (int64_t i = 0; i < c.size("n"); ++i) c.out<bf16, 1>("y")(i).bits ^= 1;
  };
  CHECK_FALSE(judge(p, in_bf16(truncates)).pass);
}

TEST_CASE("judge: a second run on the same inputs gives the same bits, or says that it may not") {
  const Pair p = scaling(Style::normal);
  int runs = 0;
  const auto differs = [&](Call& c) {  // by less than the bound
    right(c);
    c.out<float, 1>("sum")(0) *= 1 + static_cast<float>(runs++ % 2) * 0x1p-23f;
  };
  const Verdict v = judge(p, in_bf16(differs));
  CHECK_FALSE(v.pass);
  CHECK(v.reason.find("second run: sum[0]") != std::string::npos);
  CHECK(judge(p, in_bf16(differs, {.deterministic = false})).pass);
  // As a kernel does that counts finished blocks in a variable and does not put it back.
  bool launched = false;
  const auto leaves_something_behind = [&](Call& c) {
    right(c);
    if (launched) c.out<float, 1>("sum")(2) += 1;
    launched = true;
  };
  CHECK_FALSE(
      judge(p, in_bf16(leaves_something_behind, {.deterministic = false}), p.cases[0], Style::normal).pass);
}

TEST_CASE("judge: a candidate is judged by the cases that it supports, one at least") {
  const Pair p = scaling(Style::normal);
  const auto only = [](int64_t n) {
    return in_bf16(
        [n](Call& c) {
          if (c.size("n") != n) throw std::runtime_error("not made for it");
          right(c);
        },
        {.supports = [n](const Numbers& s) { return s.size("n") == n; }});
  };
  CHECK(judge(p, only(33)).pass);
  CHECK(judge(p, only(33)).elements == 66);
  CHECK(judge(p, only(7)).reason == "it supports none of the cases");
  CHECK_FALSE(judge(p, only(7)).pass);
}

TEST_CASE("judge: another seed draws other inputs, the same one the same") {
  const Pair p = scaling(Style::normal);
  const auto x = [&](uint64_t seed) {
    Call c = make_call(p, p.cases[1], Style::normal, all_double, seed);
    return c.array("x").get_all();
  };
  CHECK(x(0) == x(0));
  CHECK(x(1) == x(1));
  CHECK(x(0) != x(1));
  CHECK(x(1) != x(2));
}

TEST_CASE("bytes to move: of a table only the rows that occur, updates twice, scratch not at all") {
  const auto bytes = [](const char* operation, const Numbers& numbers) {
    const Pair& pair = find_pair(operation);
    Call call = make_call(pair, numbers, Style::normal, {DType::f32, DType::f32, DType::f32});
    return bytes_moved(pair, call);
  };
  // One id, 97 times, in a table of one row of 8; and in one of 300 rows at most 3 ids.
  CHECK(bytes("embedding_forward", {{"n", 97}, {"vocab", 1}, {"d", 8}}) == 4 * (97 + 8 + 97 * 8));
  CHECK(bytes("embedding_backward", {{"n", 97}, {"vocab", 1}, {"d", 8}}) == 4 * (97 + 2 * 8 + 97 * 8));
  CHECK(bytes("embedding_forward", {{"n", 3}, {"vocab", 300}, {"d", 8}}) <= 4 * (3 + 3 * 8 + 3 * 8));
  CHECK(bytes("swiglu_forward", {{"n", 2}, {"d_ff", 5}, {"scale", 1}}) == 4 * 3 * 10);
  CHECK(bytes("grad_clip", {{"n", 10}, {"max_norm", 1}}) >= 4 * 2 * 10);
}
