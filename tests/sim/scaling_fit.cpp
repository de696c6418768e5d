// Fits recover what was planted, intervals cover it as often as they say, and points that cannot be fitted are refused.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "ref/core/error.hpp"
#include "sim/scaling/fit.hpp"
#include "sim/scaling/isoflop.hpp"
#include "sim/scaling/predict.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

std::vector<double> budgets(int n, double low = 1e17, double high = 3e20) {
  std::vector<double> c;
  for (int i = 0; i < n; ++i) c.push_back(low * std::pow(high / low, i / (n - 1.0)));
  return c;
}

}  // namespace

TEST_CASE("a power law without noise is found again to the last digits") {
  const PowerLaw planted{0.1715, 0.5243};
  std::vector<double> y;
  const std::vector<double> c = budgets(8);
  for (double v : c) y.push_back(planted.at(v));
  const PowerLaw fit = fit_power_law(c, y);
  CHECK(fit.exponent == doctest::Approx(planted.exponent).epsilon(1e-13));
  CHECK(fit.base == doctest::Approx(planted.base).epsilon(1e-11));  // e^intercept: 45 ln units away
  const PowerLawFit with = fit_power_law(c, y, Bootstrap{});
  CHECK(with.exponent.high - with.exponent.low < 1e-12);
}

TEST_CASE("a parabola is found again wherever it lies") {
  for (double x0 : {-3.0, 0.0, 19.5, 23.0}) {
    std::vector<double> x, y;
    for (double d : {-1.0, -0.7, -0.1, 0.4, 0.5, 1.3}) {
      x.push_back(x0 + 0.2 + d);
      y.push_back(1.1 + 0.03 * (x.back() - x0) * (x.back() - x0));
    }
    const Parabola p = fit_parabola(x, y);
    CHECK(p.minimum_x == doctest::Approx(x0).epsilon(1e-11));
    CHECK(p.minimum_y == doctest::Approx(1.1).epsilon(1e-13));
    CHECK(p.curvature == doctest::Approx(0.03).epsilon(1e-10));
  }
  // Four points that no parabola meets, by hand: with u = x - 1.5 the slope is sum(u y) / sum(u^2) = 1.5 / 5 and the bend,
  // on u^2 - 5/4 = (1, -1, -1, 1), is 3 / 4; the minimum lies where 0.3 + 2 * 0.75 u = 0.
  const std::vector<double> x = {0, 1, 2, 3}, y = {1, 0, 0, 2};
  const Parabola p = fit_parabola(x, y);
  CHECK(p.curvature == doctest::Approx(0.75));
  CHECK(p.minimum_x == doctest::Approx(1.5 - 0.3 / 1.5));
}

TEST_CASE("a loss law is found again") {
  for (const auto& [floor, scale, alpha] :
       {std::tuple(0.43, 0.77, 0.093), std::tuple(0.0, 2.0, 0.05), std::tuple(1.69, 1.2, 0.3)}) {
    const std::vector<double> c = budgets(8);
    std::vector<double> loss;
    for (double v : c) loss.push_back(floor + scale * std::pow(v / 1e18, -alpha));
    const LossLaw fit = fit_loss_law(c, loss);
    CHECK(fit.alpha == doctest::Approx(alpha).epsilon(1e-6));
    CHECK(fit.floor == doctest::Approx(floor).epsilon(1e-5));
    CHECK(fit.at(1e18) == doctest::Approx(floor + scale).epsilon(1e-9));
    CHECK(fit.at(8.6e23) == doctest::Approx(floor + scale * std::pow(8.6e5, -alpha)).epsilon(1e-6));
  }
}

TEST_CASE("an IsoFLOP fit finds the planted exponents, and D follows from C = M D") {
  const PowerLaw planted{0.1715, 0.5243};
  std::vector<IsoflopPoint> points;
  for (double c : budgets(8))
    for (double away : {0.35, 0.5, 0.8, 1.1, 1.7, 2.4}) {
      const double m = planted.at(c) * away, bend = std::log(away);
      points.push_back({c, m, 0.9 + 0.02 * bend * bend});
    }
  const IsoflopFit fit = fit_isoflop(points, {3, {200, 0.95, 1}});
  CHECK(fit.model_scale.law.exponent == doctest::Approx(0.5243).epsilon(1e-10));
  CHECK(fit.tokens.law.exponent == doctest::Approx(1 - 0.5243).epsilon(1e-10));
  CHECK(fit.model_scale.law.base * fit.tokens.law.base == doctest::Approx(1).epsilon(1e-10));
  for (const IsoflopBudget& b : fit.budgets) {
    CHECK(b.model_scale * b.tokens == doctest::Approx(b.flops).epsilon(1e-12));
    CHECK(b.loss == doctest::Approx(0.9).epsilon(1e-12));
    CHECK(b.inside());
    CHECK(b.used == 5);  // 0.35 is more than a factor of 3 from the best, 1.1
  }
  // A narrower window drops the outer points and changes nothing in an exact parabola.
  const IsoflopFit narrow = fit_isoflop(points, {1.6, {50, 0.95, 1}});
  CHECK(narrow.budgets[0].used == 4);  // the best, two within 1.6, and the fourth that is always taken
  CHECK(narrow.model_scale.law.exponent == doctest::Approx(0.5243).epsilon(1e-9));
}

TEST_CASE("an IsoFLOP minimum outside of what was trained is called so") {
  std::vector<IsoflopPoint> points;
  for (double c : {1e18, 1e19})
    for (double away : {2.0, 3.0, 4.0, 5.0}) {
      const double bend = std::log(away);
      points.push_back({c, std::sqrt(c) * away, 1 + 0.1 * bend * bend});
    }
  const IsoflopFit fit = fit_isoflop(points, {0, {50, 0.95, 1}});
  CHECK_FALSE(fit.budgets[0].inside());
  CHECK(fit.budgets[0].model_scale == doctest::Approx(1e9));
}

TEST_CASE("a bootstrap interval covers the planted exponent about as often as it says") {
  // 400 data sets of 24 points with 5% noise, intervals of 95% and 50%: 374 and 200 covered when this was written.
  const std::vector<double> c = budgets(24);
  for (const auto& [confidence, low, high] : {std::tuple(0.95, 0.88, 0.98), std::tuple(0.5, 0.40, 0.58)}) {
    int covered = 0, trials = 400;
    for (int trial = 0; trial < trials; ++trial) {
      std::vector<double> y;
      for (size_t i = 0; i < c.size(); ++i)
        y.push_back(0.17 * std::pow(c[i], 0.52) *
                    std::exp(0.05 * philox_normal(11, static_cast<uint64_t>(trial), i)));
      const PowerLawFit fit = fit_power_law(c, y, {200, confidence, static_cast<uint64_t>(trial)});
      CHECK(fit.exponent.contains(fit.law.exponent));
      covered += fit.exponent.contains(0.52);
    }
    CHECK(covered >= low * trials);
    CHECK(covered <= high * trials);
  }
}

TEST_CASE("the intervals of an IsoFLOP fit cover the planted exponent") {
  // 60 sets of 8 budgets with 9 models each, 0.3% noise in the loss. When this was written, 60 of 60 intervals of the exponent
  // covered (points and budgets are both resampled, which is rather too wide) and 91% of those of single minima, which
  // rest on nine points each.
  int covered = 0, optima = 0;
  for (uint64_t trial = 0; trial < 60; ++trial) {
    std::vector<IsoflopPoint> points;
    for (double c : budgets(8))
      for (double away : {0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.6, 2.0, 2.5}) {
        const double bend = std::log(away), noise = philox_normal(3, trial, points.size());
        points.push_back(
            {c, 0.1715 * std::pow(c, 0.5243) * away, (1 + 0.06 * bend * bend) * (1 + 0.003 * noise)});
      }
    const IsoflopFit fit = fit_isoflop(points, {0, {200, 0.95, trial}});
    covered += fit.model_scale.exponent.contains(0.5243);
    // D = C / M in every draw: the interval of b is that of a, mirrored.
    CHECK(fit.tokens.exponent.low == doctest::Approx(1 - fit.model_scale.exponent.high).epsilon(1e-9));
    CHECK(fit.tokens.exponent.high == doctest::Approx(1 - fit.model_scale.exponent.low).epsilon(1e-9));
    for (const IsoflopBudget& b : fit.budgets)
      optima += b.model_scale_interval.contains(0.1715 * std::pow(b.flops, 0.5243));
  }
  CHECK(covered >= 54);
  CHECK(optima >= 0.80 * 480);
  CHECK(optima <= 0.99 * 480);
}

TEST_CASE("the same seed gives the same interval, another seed another") {
  const std::vector<double> c = {1e17, 1e18, 1e19, 1e20, 1e21}, y = {1, 3.2, 9, 33, 99};
  const auto of_seed = [&](uint64_t seed) { return fit_power_law(c, y, {300, 0.9, seed}).exponent; };
  CHECK(of_seed(5).low == of_seed(5).low);
  CHECK(of_seed(5).high == of_seed(5).high);
  CHECK(of_seed(5).low != of_seed(6).low);
  // A wider confidence is a wider interval.
  CHECK(fit_power_law(c, y, {300, 0.99, 5}).exponent.low <= of_seed(5).low);
}

TEST_CASE("what cannot be fitted is refused") {
  const std::vector<double> two = {1, 2}, three = {1, 2, 3}, four = {1, 2, 3, 4};
  CHECK_THROWS_AS(fit_power_law(two, three), ShapeError);
  CHECK_THROWS_AS(fit_power_law(std::vector<double>{2, 2}, two), ValueError);
  CHECK_THROWS_AS(fit_power_law(two, std::vector<double>{1, not_a_number}), ValueError);
  CHECK_THROWS_AS(fit_power_law(two, std::vector<double>{1, 0}), ValueError);
  CHECK_THROWS_AS(fit_power_law(std::vector<double>{-1, 2}, two), ValueError);
  CHECK_THROWS_AS(fit_parabola(two, two), ValueError);
  CHECK_THROWS_AS(fit_parabola(std::vector<double>{1, 1, 2}, three), ValueError);
  CHECK_THROWS_AS(fit_parabola(three, std::vector<double>{0, 1, 0}), ValueError);  // a maximum
  CHECK_THROWS_AS(fit_parabola(three, three), ValueError);                         // a line
  CHECK_THROWS_AS(fit_loss_law(three, three), ValueError);
  CHECK_THROWS_AS(fit_loss_law(four, four), ValueError);                               // rises
  CHECK_THROWS_AS(fit_loss_law(four, std::vector<double>{1, 1, 1, 1}), ValueError);    // never falls
  CHECK_THROWS_AS(fit_loss_law(four, std::vector<double>{9, 7.9, 6, 2}), ValueError);  // falls ever faster
  for (const Bootstrap& bad :
       {Bootstrap{1, 0.95, 0}, Bootstrap{100, 0, 0}, Bootstrap{100, 1, 0}, Bootstrap{100, not_a_number, 0}})
    CHECK_THROWS_AS(fit_power_law(two, two, bad), ValueError);
  CHECK_THROWS_WITH_AS(fit_isoflop({{1e18, 1e8, 1}, {1e18, 2e8, 1}, {1e18, 3e8, 1}}, {}),
                       "isoflop: expected two different budgets at least, got 1", ValueError);
  CHECK_THROWS_WITH_AS(fit_isoflop({{1e18, 1e8, 1}, {1e18, 2e8, 1}, {1e19, 3e8, 1}}, {}),
                       "isoflop, budget 1e+18: expected three model scales at least, got 2", ValueError);
  CHECK_THROWS_WITH_AS(fit_isoflop({{1e18, 1e8, 1}, {1e18, 1e8, 2}, {1e18, 2e8, 1}, {1e19, 3e8, 1}}, {}),
                       "isoflop, budget 1e+18: expected every model scale once, got 1e+08 again", ValueError);
  CHECK_THROWS_AS(fit_and_predict({{1e17, 4}, {1e18, 3}, {1e19, 2.5}, {1e20, 2.2}}, {{"", -1, {}}}, {}),
                  ValueError);
}
