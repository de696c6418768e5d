#include "ref/train/plot.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "ref/core/error.hpp"

using namespace dsllm;

TEST_CASE("plot: a line, its axes and its legend") {
  const std::string text =
      plot({{"loss", {0, 1, 2, 3, 4, 5, 6, 7}, {7, 6, 5, 4, 3, 2, 1, 0}}}, {"step", "nats", 8, 8});
  CHECK(text ==
        "     nats\n"
        "        7 |*\n"
        "          | *\n"
        "          |  *\n"
        "          |   *\n"
        "        3 |    *\n"
        "          |     *\n"
        "          |      *\n"
        "        0 |       *\n"
        "          +--------\n"
        "           0 step 7\n"
        "           * loss\n");
}

TEST_CASE("plot: several series, the mean of a column, and points that are not finite") {
  const double nan = std::nan("");
  const std::string text =
      plot({{"a", {0, 0, 9, nan, 5}, {0, 4, 0, 1, nan}}, {"b", {9}, {2}}}, {"", "", 10, 3});
  CHECK(text ==
        "        2 |*        o\n"
        "          |\n"
        "        0 |         *\n"
        "          +----------\n"
        "           0        9\n"
        "           * a\n"
        "           o b\n");
}

TEST_CASE("plot: constant series, single points and nothing at all") {
  CHECK(plot({}) == "(nothing to plot)\n");
  CHECK(plot({{"a", {}, {}}}) == "(nothing to plot)\n");
  CHECK(plot({{"a", {1}, {std::nan("")}}}) == "(nothing to plot)\n");
  CHECK(plot({{"a", {3}, {5}}}, {"", "", 4, 2}).find("5 |*\n") != std::string::npos);
  CHECK(plot({{"a", {0, 3}, {5, 5}}}, {"", "", 4, 2}).find("5 |*  *\n") != std::string::npos);
}

TEST_CASE("plot: what cannot be drawn is refused") {
  CHECK_THROWS_AS(plot({{"a", {1, 2}, {1}}}), ShapeError);
  CHECK_THROWS_AS(plot({{"a", {1}, {1}}}, {"", "", 1, 5}), ValueError);
}
