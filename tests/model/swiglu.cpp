#include "ref/model/swiglu.hpp"

#include "cuda/model/swiglu.hpp"
#include "tests/model/on_device.hpp"
#include "tests/model/support.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using namespace dsllm::tests;

TEST_CASE("swiglu: golden data, forward and backward") {
  const auto gate = golden<double, 2>("swiglu.gate"), up = golden<double, 2>("swiglu.up"),
             dy = golden<double, 2>("swiglu.dy");
  Tensor<double, 2> y(5, 7), dgate(5, 7), dup(5, 7);
  swiglu_forward<double>(gate, up, y);
  CHECK(distance(y, golden<double, 2>("swiglu.y")) <= golden_tolerance);
  swiglu_backward<double>(dy, gate, up, dgate, dup);
  CHECK(distance(dgate, golden<double, 2>("swiglu.dgate")) <= golden_tolerance);
  CHECK(distance(dup, golden<double, 2>("swiglu.dup")) <= golden_tolerance);
}

TEST_CASE("swiglu: gradients agree with 4-point differences") {
  auto gate = random<double>(1, 3, 3, 11), up = random<double>(2, 1, 3, 11);
  const auto dy = random<double>(3, 1, 3, 11);
  Tensor<double, 2> y(3, 11), dgate(3, 11), dup(3, 11);
  const auto f = [&] {
    swiglu_forward<double>(gate, up, y);
    return dot(dy, y);
  };
  f();
  const double gauge = absolute_dot(dy, y);
  swiglu_backward<double>(dy, gate, up, dgate, dup);
  CHECK_GRADIENT(f, gate, dgate, gauge);
  CHECK_GRADIENT(f, up, dup, gauge);
}

TEST_CASE("swiglu: far out, silu is 0 on the left and the identity on the right, with slopes 0 and 1") {
  Tensor<float, 2> gate(1, 4), up(1, 4), y(1, 4), dy(1, 4), dgate(1, 4), dup(1, 4);
  const float gates[] = {-1000, -100, 100, 1000};
  for (int64_t j = 0; j < 4; ++j) {
    gate(0, j) = gates[j];
    up(0, j) = 1;
    dy(0, j) = 1;
  }
  swiglu_forward<float>(gate, up, y);
  swiglu_backward<float>(dy, gate, up, dgate, dup);
  for (int64_t j = 0; j < 4; ++j) {
    // exp saturates at 2^128, so what should be 0 is at most 1000 * 2^-127 = 6e-36, and its slope 1000 times that.
    const float silu = gates[j] > 0 ? gates[j] : 0, slope = gates[j] > 0 ? 1 : 0;
    CHECK(std::abs(y(0, j) - silu) <= 6e-36f);
    CHECK(std::abs(dup(0, j) - silu) <= 6e-36f);
    CHECK(std::abs(dgate(0, j) - slope) <= 6e-33f);
  }
}

TEST_CASE("swiglu: a NaN comes out as NaN") {
  Tensor<float, 2> gate(1, 3), up(1, 3), y(1, 3);
  gate(0, 0) = NAN;
  up(0, 1) = NAN;
  swiglu_forward<float>(gate, up, y);
  CHECK(std::isnan(y(0, 0)));
  CHECK(std::isnan(y(0, 1)));
  CHECK(y(0, 2) == 0);
}

TEST_CASE("swiglu: shapes that do not fit are named") {
  Tensor<float, 2> gate(2, 3), up(3, 2);
  CHECK(message_of([&] { swiglu_forward<float>(gate, up, gate); }) ==
        "swiglu_forward: expected up [2, 3], got [3, 2]");
  CHECK(message_of([&] { swiglu_backward<float>(gate, gate, gate, gate, up); }) ==
        "swiglu_backward: expected dup [2, 3], got [3, 2]");
}

// Arrays that do not begin at multiples of 16 bytes, which no pair has. Each element is computed alike, so the bits are equal.
TEST_CASE_TEMPLATE("swiglu on a device: addresses that allow no vectors", T, float, bf16) {
  cuda::Stream stream;
  const auto gate = random_as<T>(1, 3, 37), up = random_as<T>(2, 3, 37), dy = random_as<T>(3, 3, 37);
  struct Results {
    Tensor<T, 2> y, dgate, dup;
  };
  const auto run = [&](int64_t offset) {
    const Placed<T, 2> g(gate, offset, stream), u(up, offset, stream), d(dy, offset, stream),
        y(gate, offset, stream);
    cuda::swiglu_forward<T>(g, u, y, stream);
    cuda::swiglu_backward<T>(d, g, u, g, u, stream);
    return Results{y.back(), g.back(), u.back()};
  };
  const Results aligned = run(0), shifted = run(1);
  CHECK(same_bits(aligned.y, shifted.y));
  CHECK(same_bits(aligned.dgate, shifted.dgate));
  CHECK(same_bits(aligned.dup, shifted.dup));
  CHECK(distance(aligned.y, gate) > 0.1);
  const Placed<T, 2> shifted_gate(gate, 1, stream);
  CHECK(message_of([&] {
          cuda::swiglu_forward_vectors<T>(shifted_gate, shifted_gate, shifted_gate, stream);
        }) == "swiglu_forward_vectors: expected arrays that begin at multiples of 16 bytes, got others");
}

TEST_CASE("swiglu on a device: shapes that do not fit are named") {
  cuda::Stream stream;
  Tensor<float, 2> x(2, 4), other(2, 5);
  CHECK(message_of([&] { cuda::swiglu_forward<float>(x, other, x, stream); }) ==
        "swiglu_forward: expected up [2, 4], got [2, 5]");
  CHECK(message_of([&] { cuda::swiglu_backward<float>(x, x, x, x, other, stream); }) ==
        "swiglu_backward: expected dup [2, 4], got [2, 5]");
}
