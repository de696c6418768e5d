#include "ref/align/dpo.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using Loss = DpoSettings::Loss;

template <class T>
struct Pairs {
  std::vector<T> pc, pr, rc, rr;
  std::vector<T> losses, dchosen, drejected, rewards_chosen, rewards_rejected;
  DpoMetrics metrics;

  static View<T, 1> view(std::vector<T>& x) { return View<T, 1>(x.data(), {static_cast<int64_t>(x.size())}); }

  void run(const DpoSettings& settings, double scale = 1) {
    const T unwritten = std::numeric_limits<T>::quiet_NaN();
    for (auto* out : {&losses, &dchosen, &drejected, &rewards_chosen, &rewards_rejected})
      out->assign(pc.size(), unwritten);
    metrics = dpo_loss<T>(settings, view(pc), view(pr), view(rc), view(rr), scale, view(losses),
                          view(dchosen), view(drejected), view(rewards_chosen), view(rewards_rejected));
  }
};

template <class T>
static void check_golden(double tolerance) {
  const std::string path = DSLLM_SOURCE_DIR "/tests/golden/dpo.json";
  const Json golden = read_json(path);
  Pairs<T> p;
  for (const Json& row : golden.at("pairs")) {
    p.pc.push_back(row.at(0).get<T>());
    p.pr.push_back(row.at(1).get<T>());
    p.rc.push_back(row.at(2).get<T>());
    p.rr.push_back(row.at(3).get<T>());
  }
  REQUIRE(golden.at("cases").size() == 8);
  for (const Json& c : golden.at("cases")) {
    DpoSettings s;
    const std::string name = c.at("loss");
    s.loss = name == "sigmoid" ? Loss::sigmoid : name == "ipo" ? Loss::ipo : Loss::hinge;
    s.beta = c.at("beta");
    s.label_smoothing = c.at("label_smoothing");
    s.reference_free = c.at("reference_free");
    p.run(s);
    for (size_t i = 0; i < p.pc.size(); ++i) {
      const T got[] = {p.losses[i], p.dchosen[i], p.drejected[i], p.rewards_chosen[i], p.rewards_rejected[i]};
      for (size_t k = 0; k < 5; ++k) {
        const double want = c.at("expected").at(i).at(k);
        INFO(name << " pair " << i << " column " << k << " got " << got[k] << " want " << want);
        const double bound = tolerance * std::abs(want) + static_cast<double>(std::numeric_limits<T>::min());
        CHECK(std::abs(static_cast<double>(got[k]) - want) <= bound);
      }
    }
  }
}

TEST_CASE("dpo: losses, gradients and rewards are those of a 260-digit implementation") {
  // The inputs, beta and the smoothing are exact in T, so h and z are; then at most four rounded operations, with exp
  // and log1p within 1 unit: 8 eps. A loss of e^-z for large z is as exact as exp
  // itself, until it underflows.
  check_golden<double>(8 * std::numeric_limits<double>::epsilon());
  check_golden<float>(8 * std::numeric_limits<float>::epsilon());
}

TEST_CASE("dpo: gradients are the slopes of the loss, by 4-point differences in double") {
  for (const Loss loss : {Loss::sigmoid, Loss::ipo, Loss::hinge})
    for (const double smoothing : {0.0, 0.2})
      for (const bool free : {false, true}) {
        if (smoothing > 0 && loss != Loss::sigmoid) continue;
        const DpoSettings s{loss, 0.3, smoothing, free};
        Pairs<double> p;
        p.pc = {-5.1, -7.3, -2.2};
        p.pr = {-6.4, -5.9, -2.3};
        p.rc = {-5.5, -6.1, -2.0};
        p.rr = {-6.0, -6.6, -2.4};
        const double scale = 0.7, step = 1e-3;
        const Pairs<double> at = [&] {
          auto q = p;
          q.run(s, scale);
          return q;
        }();
        for (size_t i = 0; i < 3; ++i)
          for (const bool chosen : {true, false}) {
            const auto total = [&](double offset) {
              auto q = p;
              (chosen ? q.pc : q.pr)[i] += offset;
              q.run(s);
              return scale * (q.losses[0] + q.losses[1] + q.losses[2]);
            };
            const double slope =
                (8 * (total(step) - total(-step)) - (total(2 * step) - total(-2 * step))) / (12 * step);
            const double got = chosen ? at.dchosen[i] : at.drejected[i];
            // Truncation step^4 * |5th derivative| < 1e-12, rounding eps * |loss| / step < 1e-12.
            CHECK(std::abs(got - slope) <= 1e-11);
          }
      }
}

template <class T>
static Pairs<T> with_margin(T h) {
  Pairs<T> p;
  p.pc = {h};
  p.pr = {0};
  p.rc = {0};
  p.rr = {0};
  return p;
}

TEST_CASE("dpo: margins of +-1e4 give the limits, not infinities or NaN") {
  const auto check = [](auto zero) {
    using T = decltype(zero);
    for (const double smoothing : {0.0, 0.25}) {
      const DpoSettings s{Loss::sigmoid, 1, smoothing, false};
      Pairs<T> right = with_margin<T>(10000), wrong = with_margin<T>(-10000);
      right.run(s);
      wrong.run(s);
      CHECK(right.losses[0] == static_cast<T>(smoothing * 10000));
      CHECK(wrong.losses[0] == static_cast<T>((1 - smoothing) * 10000));
      CHECK(right.dchosen[0] == static_cast<T>(smoothing));
      CHECK(wrong.dchosen[0] == static_cast<T>(smoothing - 1));
    }
  };
  check(0.0f);
  check(0.0);
}

TEST_CASE("dpo: at the reference the loss is log 2, the gradient -beta / 2, and no pair counts as right") {
  Pairs<double> p;
  p.pc = p.rc = {-3.0, -9.0};
  p.pr = p.rr = {-4.0, -8.0};
  p.run({Loss::sigmoid, 0.5, 0, false}, 0.5);
  for (const size_t i : {0, 1}) {
    CHECK(p.losses[i] == doctest::Approx(std::log(2.0)).epsilon(1e-15));  // one rounding
    CHECK(p.dchosen[i] == -0.5 * 0.5 / 2);
    CHECK(p.drejected[i] == 0.5 * 0.5 / 2);
  }
  CHECK(p.metrics.accuracy == 0);
  CHECK(p.metrics.margin == 0);
}

TEST_CASE("dpo: metrics are means over the pairs") {
  Pairs<double> p;
  p.pc = {-1, -2, -3, -4};
  p.pr = {-2, -1, -5, -4};
  p.rc = {-1.5, -2, -2, -4};
  p.rr = {-1.5, -2, -2, -4};
  p.run({Loss::hinge, 0.5, 0, false});
  // h = 1, -1, 2, 0; rewards chosen 0.25, 0, -0.5, 0; rejected -0.25, 0.5, -1.5, 0; losses 0.5, 1.5, 0, 1.
  CHECK(p.metrics.loss == 0.75);
  CHECK(p.metrics.reward_chosen == -0.0625);
  CHECK(p.metrics.reward_rejected == -0.3125);
  CHECK(p.metrics.margin == 0.25);
  CHECK(p.metrics.accuracy == 0.5);
}

TEST_CASE("dpo: without a reference its values are not read") {
  Pairs<double> p = with_margin<double>(2);
  p.rc = p.rr = {std::nan("")};
  p.run({Loss::ipo, 0.5, 0, true});
  CHECK(p.losses[0] == 1);
  CHECK(p.dchosen[0] == 2);
}

TEST_CASE("dpo: a NaN stays visible in every loss") {
  for (const Loss loss : {Loss::sigmoid, Loss::ipo, Loss::hinge}) {
    Pairs<float> p = with_margin<float>(std::nanf(""));
    p.run({loss, 0.1, 0, false});
    CHECK(std::isnan(p.losses[0]));
  }
}

TEST_CASE("dpo: settings and shapes that make no sense are refused") {
  Pairs<double> p = with_margin<double>(1);
  CHECK_THROWS_WITH_AS(p.run({Loss::sigmoid, 0, 0, false}), "dpo_loss: expected beta > 0, got 0", ValueError);
  CHECK_THROWS_AS(p.run({Loss::sigmoid, std::nan(""), 0, false}), ValueError);
  CHECK_THROWS_AS(p.run({Loss::sigmoid, 0.1, 0.5, false}), ValueError);
  CHECK_THROWS_AS(p.run({Loss::ipo, 0.1, 0.1, false}), ValueError);
  p.pr.push_back(0);
  CHECK_THROWS_WITH_AS(p.run({}), "dpo_loss: expected policy_rejected [1], got [2]", ShapeError);
  Pairs<double> none;
  CHECK_THROWS_AS(none.run({}), ValueError);
}
