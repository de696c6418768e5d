#include "ref/model/linear.hpp"

#include "tests/model/support.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using namespace dsllm::tests;

TEST_CASE("linear: golden data, forward and backward") {
  const auto x = golden<double, 2>("linear.x"), weight = golden<double, 2>("linear.weight"),
             dy = golden<double, 2>("linear.dy");
  Tensor<double, 2> y(6, 5), dx(6, 7), dweight(5, 7);
  linear_forward<double>(x, weight, y);
  CHECK(distance(y, golden<double, 2>("linear.y")) <= golden_tolerance);
  linear_backward_input<double>(dy, weight, dx);
  CHECK(distance(dx, golden<double, 2>("linear.dx")) <= golden_tolerance);
  linear_backward_weight<double>(dy, x, dweight);
  CHECK(distance(dweight, golden<double, 2>("linear.dweight")) <= golden_tolerance);
}

TEST_CASE("linear: gradients agree with 4-point differences") {
  for (const int64_t n : {2, 9}) {  // few rows and many have code of their own
    auto x = random<double>(1, 1, n, 5), weight = random<double>(2, 1, 7, 5);
    const auto dy = random<double>(3, 1, n, 7);
    Tensor<double, 2> y(n, 7), dx(n, 5), dweight(7, 5);
    const auto f = [&] {
      linear_forward<double>(x, weight, y);
      return dot(dy, y);
    };
    f();
    const double gauge = absolute_dot(dy, y);
    linear_backward_input<double>(dy, weight, dx);
    linear_backward_weight<double>(dy, x, dweight);
    CHECK_GRADIENT(f, x, dx, gauge);
    CHECK_GRADIENT(f, weight, dweight, gauge);
  }
}

TEST_CASE("linear: gradients of weights add up over calls") {
  const auto dy = random<double>(1, 1, 6, 4), x = random<double>(2, 1, 6, 3);
  Tensor<double, 2> whole(4, 3), parts(4, 3);
  linear_backward_weight<double>(dy, x, whole);
  linear_backward_weight<double>(dy.rows(0, 2), x.rows(0, 2), parts);
  linear_backward_weight<double>(dy.rows(2, 4), x.rows(2, 4), parts);
  CHECK(distance(whole, parts) <= golden_tolerance);
}

TEST_CASE("linear: shapes that do not fit are named") {
  Tensor<float, 2> x(3, 4), weight(5, 4), y(3, 6), dweight(5, 3);
  CHECK(message_of([&] { linear_forward<float>(x, weight, y); }) ==
        "linear_forward: expected y [3, 5], got [3, 6]");
  CHECK(message_of([&] { linear_forward<float>(y, weight, y); }) ==
        "linear_forward: expected x [3, 4], got [3, 6]");
  CHECK(message_of([&] { linear_backward_input<float>(x, weight, y); }) ==
        "linear_backward_input: expected dy [3, 5], got [3, 4]");
  CHECK(message_of([&] { linear_backward_weight<float>(x, x, dweight); }) ==
        "linear_backward_weight: expected dy [3, 5], got [3, 4]");
}
