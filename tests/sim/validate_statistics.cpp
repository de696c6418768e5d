// Statistics against values that were worked out by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "ref/core/error.hpp"
#include "sim/validate/statistics.hpp"

using namespace dsllm;
using namespace dsllm::sim;

TEST_CASE("statistics: errors of four predictions") {
  const std::vector<double> measured{10, 2, 4, 8}, predicted{11, 1, 5, 8};  // +0.1, -0.5, +0.25, 0
  const ErrorStatistics s = error_statistics(predicted, measured);
  CHECK(s.count == 4);
  CHECK(s.mean_absolute == doctest::Approx(0.85 / 4));
  CHECK(s.median_absolute == doctest::Approx(0.175));
  CHECK(s.largest_absolute == doctest::Approx(0.5));
  CHECK(s.largest == 1);
  CHECK(s.bias == doctest::Approx(-0.15 / 4));
  CHECK(*s.rank_correlation == doctest::Approx(1));
}

TEST_CASE("statistics: none, one, and what cannot be") {
  const ErrorStatistics none = error_statistics({}, {});
  CHECK(none.count == 0);
  CHECK(none.mean_absolute == 0);
  CHECK(!none.rank_correlation.has_value());
  const std::vector<double> one{3}, two{1, 2}, zero{0};
  const ErrorStatistics s = error_statistics(std::vector<double>{6}, one);
  CHECK(s.mean_absolute == doctest::Approx(1));
  CHECK(s.median_absolute == doctest::Approx(1));
  CHECK(!s.rank_correlation.has_value());
  CHECK_THROWS_WITH_AS(error_statistics(one, two),
                       "error_statistics: expected as many predictions as measurements, 2, got 1",
                       ShapeError);
  CHECK_THROWS_AS(error_statistics(one, zero), ValueError);
  CHECK_THROWS_AS(median({}), ValueError);
  CHECK(median({5}) == 5);
  CHECK(median({7, 1, 3}) == 3);
  CHECK(median({7, 1, 3, 5}) == 4);
}

TEST_CASE("statistics: Spearman's correlation with ties") {
  CHECK(mean_ranks(std::vector<double>{30, 10, 20, 20}) == std::vector<double>{4, 1, 2.5, 2.5});
  // Ranks 1 2.5 2.5 4 and 1 2 3 4: sum of products of deviations 4.5, squares 4.5 and 5.
  const std::vector<double> a{1, 2, 2, 3}, b{10, 20, 30, 40};
  CHECK(*spearman(a, b) == doctest::Approx(4.5 / std::sqrt(4.5 * 5)));
  const std::vector<double> falling{9, 8, 7, 1}, same{5, 5, 5, 5};
  CHECK(*spearman(falling, b) == doctest::Approx(-1));
  CHECK(!spearman(same, b).has_value());
  // 6 sum d^2 / (n (n^2 - 1)) with d = 1, 1, 0, 1, 1: 1 - 24 / 120.
  const std::vector<double> x{2, 1, 3, 4, 5}, y{1, 2, 3, 6, 4.5};
  CHECK(*spearman(x, y) == doctest::Approx(1 - 6.0 * 4 / 120));
}

TEST_CASE("statistics: calls of memory, both classes") {
  OomStatistics s;
  CHECK(!s.share_right().has_value());
  CHECK(!s.balanced().has_value());
  for (const bool predicted : {true, true, true, false}) s.add(predicted, true);
  CHECK(!s.balanced().has_value());
  for (const bool predicted : {false, true}) s.add(predicted, false);
  CHECK(s.ran_out == 4);
  CHECK(s.ran_out_right == 3);
  CHECK(s.ran == 2);
  CHECK(s.ran_right == 1);
  CHECK(*s.share_right() == doctest::Approx(4.0 / 6));
  CHECK(*s.share_of_ran_out() == doctest::Approx(0.75));
  CHECK(*s.share_of_ran() == doctest::Approx(0.5));
  CHECK(*s.balanced() == doctest::Approx(0.625));
}
