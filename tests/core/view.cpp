#include "ref/core/view.hpp"

#include <doctest/doctest.h>

#include "ref/core/tensor.hpp"

using namespace dsllm;

TEST_CASE("view: element (i, j, k) lies at the row-major offset") {
  Tensor<int, 3> x(2, 3, 4);
  for (int i = 0; i < 24; ++i) x.data[i] = i;
  CHECK(x(1, 2, 3) == 23);
  CHECK(x(1, 0, 2) == 14);
  CHECK(x.row(1)(2, 3) == 23);
  CHECK(x.rows(1, 1).size() == 12);
  CHECK(x.reshape(6, 4)(5, 3) == 23);
  CHECK(x.flat()(23) == 23);
}

template <class T>
static T sum_of(In<T, 1> x, Out<T, 1> y) {
  return x(0) + y(0);
}

TEST_CASE("view: a tensor, a view and a read-only view pass for In; Out decides the scalar") {
  Tensor<float, 1> x(1), y(1);
  x(0) = 1;
  y(0) = 2;
  const View<const float, 1> read_only = x;
  CHECK(sum_of(x, y) == 3);
  CHECK(sum_of(read_only, View<float, 1>(y)) == 3);
  static_assert(!std::is_convertible_v<View<const float, 1>, View<float, 1>>);
}

TEST_CASE("tensor: zero-filled, aligned to 64 bytes, empty ones too") {
  for (const int64_t n : {1, 15, 16, 17, 1000}) {
    const Tensor<float, 2> x(n, 3);
    CHECK(reinterpret_cast<uintptr_t>(x.data) % 64 == 0);
    for (int64_t i = 0; i < x.size(); ++i) REQUIRE(x.data[i] == 0);
  }
  CHECK(Tensor<float, 2>(0, 3).data == nullptr);
}

TEST_CASE("tensor: a move leaves nothing behind, a clone shares nothing") {
  Tensor<int, 1> x(2);
  x(0) = 7;
  Tensor<int, 1> y = std::move(x);
  CHECK(x.size() == 0);
  CHECK(y(0) == 7);
  Tensor<int, 1> z = y.clone();
  z(0) = 8;
  CHECK(y(0) == 7);
}

TEST_CASE("tensor: extents that are negative or overflow are refused before anything is allocated") {
  CHECK_THROWS_AS((Tensor<float, 1>(-1)), ValueError);
  CHECK_THROWS_WITH_AS(
      (Tensor<float, 2>(INT64_C(1) << 40, INT64_C(1) << 40)),
      "Tensor: expected extents whose bytes fit in 63 bits, got [1099511627776, 1099511627776]", ValueError);
}

TEST_CASE("errors: check_shape names the operation, the argument and both shapes") {
  Tensor<float, 2> x(2, 3);
  CHECK_NOTHROW(check_shape("op", "x", x, {2, 3}));
  CHECK_THROWS_WITH_AS(check_shape("op", "x", x, {2, 4}), "op: expected x [2, 4], got [2, 3]", ShapeError);
}
