#include "ref/train/adamw.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/core/tensor.hpp"

using namespace dsllm;
using namespace dsllm::ref;

// Numbers between -1 and 1 without a pattern that a formula could meet by chance.
template <class T>
static void fill(View<T, 1> x, int seed) {
  for (int64_t i = 0; i < x.size(); ++i) x(i) = static_cast<T>(std::sin(1.7 * static_cast<double>(i) + seed));
}

TEST_CASE("adamw: the first step moves every weight by lr against the sign of its gradient") {
  // m^ = g and v^ = g^2 whatever the betas, so that m^ / (sqrt(v^) + eps) = sign(g) up to eps.
  Tensor<double, 1> g(3), w(3), m(3), v(3);
  g(0) = 5, g(1) = -0.001, g(2) = 0;
  w(0) = w(1) = w(2) = 2;
  adamw_step<double>({}, 0.01, 1, g, w, m, v, 0.1);
  const double decay = 2 * 0.01 * 0.1;
  CHECK(w(0) == doctest::Approx(2 - 0.01 - decay).epsilon(1e-9));  // eps / |g| = 2e-9 of the 0.01
  CHECK(w(1) == doctest::Approx(2 + 0.01 - decay).epsilon(1e-7));  // eps / |g| = 1e-5 of the 0.01
  CHECK(w(2) == doctest::Approx(2 - decay).epsilon(1e-15));
  CHECK(m(0) == doctest::Approx(0.5).epsilon(1e-15));
  CHECK(v(0) == doctest::Approx(25 * 0.05).epsilon(1e-14));
}

TEST_CASE("adamw: many steps follow the textbook's equations") {
  const int64_t n = 37;
  const AdamwSettings s{0.9, 0.95, 1e-8, 0.1};
  Tensor<double, 1> g(n), w(n), m(n), v(n), w2(n), m2(n), v2(n);
  fill<double>(w, 1);
  fill<double>(w2, 1);
  for (int64_t t = 1; t <= 200; ++t) {
    fill<double>(g, static_cast<int>(3 * t));
    const double lr = 1e-3 * static_cast<double>(1 + t % 5);
    adamw_step<double>(s, lr, t, g, w, m, v, s.weight_decay);
    for (int64_t i = 0; i < n; ++i) {
      m2(i) = s.beta1 * m2(i) + (1 - s.beta1) * g(i);
      v2(i) = s.beta2 * v2(i) + (1 - s.beta2) * g(i) * g(i);
      const double m_hat = m2(i) / (1 - std::pow(s.beta1, static_cast<double>(t)));
      const double v_hat = v2(i) / (1 - std::pow(s.beta2, static_cast<double>(t)));
      w2(i) -= lr * (m_hat / (std::sqrt(v_hat) + s.eps) + s.weight_decay * w2(i));
    }
  }
  // The two forms differ by a few roundings a step, of numbers below 1: 200 steps * 10 eps.
  for (int64_t i = 0; i < n; ++i)
    CHECK(std::abs(w(i) - w2(i)) <= 2000 * std::numeric_limits<double>::epsilon());
}

TEST_CASE("adamw: in float each element costs the documented operations, bit for bit") {
  const int64_t n = 1003;
  Tensor<float, 1> g(n), w(n), m(n), v(n), expected(n);
  fill<float>(g, 1);
  fill<float>(w, 2);
  fill<float>(m, 3);
  for (int64_t i = 0; i < n; ++i) v(i) = std::abs(m(i));
  const AdamwSettings s;
  const AdamwCoefficients<float> c(s, 3e-4, 7, 0.1);
  for (int64_t i = 0; i < n; ++i) {
    // volatile: every intermediate result is a rounded float, whatever the compiler would like to fuse.
    volatile float a = c.beta1 * m(i), b = c.one_minus_beta1 * g(i);
    volatile float mi = a + b;
    volatile float square = g(i) * g(i);
    volatile float d = c.beta2 * v(i), e = c.one_minus_beta2 * square;
    volatile float vi = d + e;
    volatile float root = std::sqrt(static_cast<float>(vi));
    volatile float scaled = root * c.v_scale;
    volatile float denominator = scaled + c.eps;
    volatile float ratio = mi / denominator;
    volatile float move = c.step_size * ratio, decay = c.decay * w(i);
    volatile float sum = move + decay;
    expected(i) = w(i) - sum;
  }
  adamw_step<float>(s, 3e-4, 7, g, w, m, v, 0.1);
  CHECK(std::memcmp(w.data, expected.data, static_cast<size_t>(n) * sizeof(float)) == 0);
}

TEST_CASE("adamw: the result is the same for any number of threads") {
  const int64_t n = 300'001;
  const auto run = [&](int count) {
    set_threads(count);
    Tensor<float, 1> g(n), w(n), m(n), v(n);
    fill<float>(g, 1);
    fill<float>(w, 2);
    for (int64_t t = 1; t <= 3; ++t) adamw_step<float>({}, 1e-2, t, g, w, m, v, 0.1);
    set_threads(0);
    return w;
  };
  const Tensor<float, 1> one = run(1), three = run(3);
  CHECK(std::memcmp(one.data, three.data, static_cast<size_t>(n) * sizeof(float)) == 0);
}

TEST_CASE("adamw: a learning rate of zero changes the moments only") {
  Tensor<float, 1> g(2), w(2), m(2), v(2);
  g(0) = 1, g(1) = -2;
  w(0) = 0.1f, w(1) = -0.3f;
  adamw_step<float>({}, 0, 1, g, w, m, v, 0.1);
  CHECK(w(0) == 0.1f);
  CHECK(w(1) == -0.3f);
  CHECK(m(1) != 0);
}

TEST_CASE("adamw: rates and shapes that make no sense are refused") {
  Tensor<float, 1> g(2), w(2), m(2), v(3);
  const auto step = [&](AdamwSettings s, double lr, int64_t t, double decay) {
    return [=] { AdamwCoefficients<float>(s, lr, t, decay); };
  };
  CHECK_THROWS_WITH_AS(adamw_step<float>({}, 1, 1, g, w, m, v, 0), "adamw_step: expected v [2], got [3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(step({}, 1, 0, 0)(), "adamw_step: expected a step that counts from 1, got 0",
                       ValueError);
  CHECK_THROWS_AS(step({}, std::nan(""), 1, 0)(), ValueError);
  CHECK_THROWS_AS(step({}, -1, 1, 0)(), ValueError);
  CHECK_THROWS_AS(step({}, 1, 1, -0.1)(), ValueError);
  CHECK_THROWS_AS(step({1, 0.95, 1e-8, 0}, 1, 1, 0)(), ValueError);
  CHECK_THROWS_AS(step({0.9, 1, 1e-8, 0}, 1, 1, 0)(), ValueError);
  CHECK_THROWS_AS(step({0.9, 0.95, 0, 0}, 1, 1, 0)(), ValueError);
  CHECK_THROWS_AS(step({0.9, 0.95, 1e-60, 0}, 1, 1, 0)(), ValueError);  // 0 as a float
}
