#include "ref/train/lr_schedule.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "ref/core/error.hpp"

using namespace dsllm;
using namespace dsllm::ref;

static LrSchedule cosine(double max_lr, int64_t warmup) {
  LrSchedule s;
  s.shape = LrSchedule::Shape::cosine;
  s.max_lr = max_lr;
  s.warmup_steps = warmup;
  return s;
}

TEST_CASE("lr_schedule: multi-step, the paper's numbers at every boundary") {
  // 7B: max 4.2e-4, 2000 steps of warm-up; a run of 100,000 steps drops after 80,000 and 90,000.
  LrSchedule s;
  s.max_lr = 4.2e-4;
  const int64_t total = 100'000;
  s.validate(total);
  const auto at = [&](int64_t step) { return learning_rate(s, step, total); };
  const auto close = [](double x) { return doctest::Approx(x).epsilon(1e-14); };  // a few roundings
  CHECK(at(1) == close(2.1e-7));
  CHECK(at(1000) == close(2.1e-4));
  CHECK(at(1999) == close(4.1979e-4));
  CHECK(at(2000) == 4.2e-4);
  CHECK(at(2001) == 4.2e-4);
  CHECK(at(80'000) == 4.2e-4);
  CHECK(at(80'001) == close(1.328156617270719e-4));  // 4.2e-4 * 0.31622776601683794
  CHECK(at(90'000) == close(1.328156617270719e-4));
  CHECK(at(90'001) == close(4.2e-5));
  CHECK(at(100'000) == close(4.2e-5));
}

TEST_CASE("lr_schedule: 31.6% is sqrt(0.1), two equal drops to 10%") {
  const auto stages = paper_stages();
  CHECK(std::round(1000 * stages[0].factor) == 316);
  CHECK(stages[0].factor * stages[0].factor == doctest::Approx(stages[1].factor).epsilon(1e-15));
}

TEST_CASE("lr_schedule: other splits, and a boundary between two steps goes to the nearest") {
  LrSchedule s;
  s.max_lr = 1;
  s.warmup_steps = 0;
  s.stages = {{0.5, 0.5}, {0.8, 0.25}, {0.85, 0}};
  s.validate(14);  // 7, 11.2 -> 11, 11.9 -> 12
  const double expected[] = {1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0, 0};
  for (int64_t step = 1; step <= 14; ++step) CHECK(learning_rate(s, step, 14) == expected[step - 1]);
  s.stages = {};
  CHECK(learning_rate(s, 14, 14) == 1);
}

TEST_CASE("lr_schedule: cosine from the maximum at the end of the warm-up to 10% at the last step") {
  const LrSchedule s = cosine(1, 10);
  s.validate(110);
  const auto at = [&](int64_t step) { return learning_rate(s, step, 110); };
  CHECK(at(1) == 0.1);
  CHECK(at(10) == 1);
  CHECK(at(60) == doctest::Approx(0.55).epsilon(1e-15));                               // cos(pi / 2) = 0
  CHECK(at(35) == doctest::Approx(0.1 + 0.45 * (1 + std::sqrt(0.5))).epsilon(1e-15));  // cos(pi / 4)
  CHECK(at(110) == doctest::Approx(0.1).epsilon(1e-15));
  for (int64_t step = 11; step <= 110; ++step) CHECK(at(step) < at(step - 1));
}

TEST_CASE("lr_schedule: the first stage does not depend on the budget, a cosine does") {
  LrSchedule s;
  s.warmup_steps = 5;
  CHECK(steps_independent_of_budget(s, 100) == 80);
  CHECK(steps_independent_of_budget(s, 1000) == 800);
  for (int64_t step = 1; step <= 80; ++step)
    CHECK(learning_rate(s, step, 100) == learning_rate(s, step, 1000));
  CHECK(learning_rate(s, 81, 100) != learning_rate(s, 81, 1000));

  const LrSchedule c = cosine(3e-4, 5);
  CHECK(steps_independent_of_budget(c, 100) == 5);
  CHECK(learning_rate(c, 5, 100) == learning_rate(c, 5, 1000));
  for (int64_t step = 6; step <= 80; ++step)
    CHECK(learning_rate(c, step, 100) < learning_rate(c, step, 1000));
}

TEST_CASE("lr_schedule: fractions that doubles cannot hold still fall on their step") {
  CHECK(steps_before(0.07, 100) == 7);   // 0.07 * 100 = 7.000000000000001
  CHECK(steps_before(0.29, 100) == 29);  // 28.999999999999996
  CHECK(steps_before(0.8, 7) == 6);      // 5.6
}

TEST_CASE("lr_schedule: what is wrong is named with field and rule") {
  LrSchedule s;
  CHECK_THROWS_WITH_AS(
      s.validate(1000),
      "warmup_steps: expected at most the 800 steps of the first stage (of 1000 in all), got 2000",
      ConfigError);
  s.warmup_steps = 1;
  CHECK_THROWS_AS(s.validate(0), ConfigError);
  CHECK_THROWS_WITH_AS(s.validate(3),
                       "stages: expected at least one step in every stage of a run of 3 steps, got 0.9",
                       ConfigError);
  s.stages = {{0.8, 0.3}, {0.8, 0.1}};
  CHECK_THROWS_WITH_AS(s.validate(1000), "stages: expected a fraction between 0.8 and 1, got 0.8",
                       ConfigError);
  s.stages = {{0.8, -1}};
  CHECK_THROWS_AS(s.validate(1000), ConfigError);
  s.stages = {{std::nan(""), 1}};
  CHECK_THROWS_AS(s.validate(1000), ConfigError);
  s.stages = {};
  CHECK_NOTHROW(s.validate(1));
  s.max_lr = std::nan("");
  CHECK_THROWS_AS(s.validate(1000), ConfigError);
  CHECK_THROWS_WITH_AS(cosine(1, 10).validate(10),
                       "warmup_steps: expected fewer than the 10 steps of the run, got 10", ConfigError);
  CHECK_THROWS_AS(learning_rate(s, 0, 10), ValueError);
  CHECK_THROWS_AS(learning_rate(s, 11, 10), ValueError);
  CHECK_THROWS_WITH_AS(lr_shape("linear"), "schedule: expected multi-step or cosine, got 'linear'",
                       ConfigError);
}
