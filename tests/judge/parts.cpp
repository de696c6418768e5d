// The parts of the judge, each on its own.
#include <doctest/doctest.h>

#include "tests/judge/gradient.hpp"
#include "tests/judge/judge.hpp"

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
