#include "ref/train/grad_clip.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/core/tensor.hpp"

using namespace dsllm;
using namespace dsllm::ref;

TEST_CASE("grad_clip: a norm above the limit is scaled to it and returned as it was") {
  Tensor<double, 1> g(2);
  g(0) = 3, g(1) = -4;
  CHECK(grad_clip<double>(1, g) == 5);
  CHECK(g(0) == doctest::Approx(0.6).epsilon(1e-15));
  CHECK(g(1) == doctest::Approx(-0.8).epsilon(1e-15));
}

TEST_CASE("grad_clip: a norm at or below the limit changes nothing") {
  Tensor<float, 1> g(2);
  g(0) = 3, g(1) = -4;
  CHECK(grad_clip<float>(5, g) == 5);
  CHECK(grad_clip<float>(std::numeric_limits<double>::infinity(), g) == 5);
  CHECK(g(0) == 3);
  CHECK(g(1) == -4);
}

TEST_CASE("grad_clip: the norm counts every element once, at sizes around a piece and a lane") {
  for (const int64_t n : {1, 7, 8, 9, 65535, 65536, 65537, 3 * 65536 + 5}) {
    Tensor<float, 1> g(n);
    double sum = 0;  // of squares of small integers: exact in double, and so is every partial sum
    for (int64_t i = 0; i < n; ++i) {
      g(i) = static_cast<float>(i % 19 - 9);
      sum += static_cast<double>(g(i)) * static_cast<double>(g(i));
    }
    CHECK(global_norm<float>(g) == std::sqrt(sum));
  }
  CHECK(global_norm<float>(Tensor<float, 1>(0)) == 0);
}

TEST_CASE("grad_clip: floats whose squares overflow a float have a norm") {
  Tensor<float, 1> g(4);
  for (int64_t i = 0; i < 4; ++i) g(i) = 1e30f;
  CHECK(grad_clip<float>(1, g) == doctest::Approx(2e30).epsilon(1e-6));
  CHECK(g(0) == doctest::Approx(0.5).epsilon(1e-6));
}

TEST_CASE("grad_clip: the norm is the same for any number of threads") {
  const int64_t n = 500'003;
  Tensor<float, 1> g(n);
  for (int64_t i = 0; i < n; ++i) g(i) = static_cast<float>(std::sin(static_cast<double>(i)));
  set_threads(1);
  const double one = global_norm<float>(g);
  set_threads(3);
  const double three = global_norm<float>(g);
  set_threads(0);
  CHECK(one == three);
}

TEST_CASE("grad_clip: a norm that is not finite is returned and nothing is scaled") {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Tensor<float, 1> g(3);
    g(0) = 100;
    g(2) = bad;
    CHECK(!std::isfinite(grad_clip<float>(1, g)));
    CHECK(g(0) == 100);
  }
}

TEST_CASE("grad_clip: a limit that is not positive is refused") {
  Tensor<float, 1> g(1);
  CHECK_THROWS_AS(grad_clip<float>(0, g), ValueError);
  CHECK_THROWS_AS(grad_clip<float>(std::nan(""), g), ValueError);
}
