// The paper's own figures, as they were digitized: figure 2 (grids), 4 (IsoFLOP profiles and optima) and 5 (loss).
#include <doctest/doctest.h>

#include <cmath>

#include "ref/core/error.hpp"
#include "sim/scaling/grid.hpp"
#include "sim/scaling/isoflop.hpp"
#include "sim/scaling/laws.hpp"
#include "sim/scaling/predict.hpp"
#include "tests/sim/shared_facts.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

// Figures 4b, 4c and 5 (arXiv 2401.02954), read off: C, M_opt in FLOPs a token, D_opt in tokens, bits per byte there.
struct Optimum {
  double flops, model_scale, tokens, bpb;
};
constexpr Optimum optima[] = {
    {1e17, 154300000.0, 652600000.0, 1.3817},    {3e17, 229200000.0, 1344000000.0, 1.2919},
    {1e18, 480400000.0, 2140000000.0, 1.2002},   {3e18, 819000000.0, 3711000000.0, 1.1261},
    {1e19, 1602000000.0, 6327000000.0, 1.0481},  {3e19, 2877000000.0, 10790000000.0, 0.9927},
    {1e20, 5345000000.0, 19030000000.0, 0.9323}, {3e20, 9432000000.0, 32450000000.0, 0.8838}};
// The stars of figure 5.
const std::vector<LossTarget> stars = {{"7B", 8.493e22, 0.715}, {"67B", 8.655e23, 0.631}};

std::vector<LossPoint> eight_losses() {
  std::vector<LossPoint> points;
  for (const Optimum& o : optima) points.push_back({o.flops, o.bpb});
  return points;
}

}  // namespace

TEST_CASE("equation (1) gives the rates of table 2, and its batches within 5%") {
  CHECK(optimal_learning_rate.at(8.493e22) == doctest::Approx(4.2e-4).epsilon(0.012));
  CHECK(optimal_learning_rate.at(8.655e23) == doctest::Approx(3.2e-4).epsilon(0.012));
  CHECK(optimal_batch_tokens.at(8.493e22) / 4096 == doctest::Approx(2304).epsilon(0.05));
  CHECK(optimal_batch_tokens.at(8.655e23) / 4096 == doctest::Approx(4608).epsilon(0.05));
}

TEST_CASE("equation (4) passes the digitized optima, and its halves make C = M D") {
  for (const Optimum& o : optima) {
    CHECK(optimal_model_scale.at(o.flops) == doctest::Approx(o.model_scale).epsilon(0.10));
    CHECK(optimal_tokens.at(o.flops) == doctest::Approx(o.tokens).epsilon(0.12));
    CHECK(optimal_model_scale.at(o.flops) * optimal_tokens.at(o.flops) ==
          doctest::Approx(o.flops).epsilon(0.0005));
  }
}

TEST_CASE("the digitized optima have the paper's exponents") {
  std::vector<double> c, m, d;
  for (const Optimum& o : optima) c.push_back(o.flops), m.push_back(o.model_scale), d.push_back(o.tokens);
  const PowerLawFit scale = fit_power_law(c, m, Bootstrap{}), tokens = fit_power_law(c, d, Bootstrap{});
  CHECK(std::abs(scale.law.exponent - 0.524) <= 0.01);
  CHECK(std::abs(tokens.law.exponent - 0.476) <= 0.01);
  CHECK(scale.exponent.contains(optimal_model_scale.exponent));
  CHECK(tokens.exponent.contains(optimal_tokens.exponent));
}

TEST_CASE("the digitized IsoFLOP points give a = 0.524 +- 0.01, for any window around the minimum") {
  const auto path = test::shared_fact("paper/fig4a_isoflop_digitized.csv");
  if (!path) return;
  const std::vector<IsoflopPoint> points = read_isoflop(*path);
  CHECK(points.size() == 97);
  for (double window : {0.0, 2.0, 2.5, 3.0, 4.0, 5.0}) {
    const IsoflopFit fit = fit_isoflop(points, {window, {100, 0.95, 0}});
    CAPTURE(window);
    CHECK(std::abs(fit.model_scale.law.exponent - 0.524) <= 0.01);
    CHECK(std::abs(fit.tokens.law.exponent - 0.476) <= 0.01);
  }
  const IsoflopFit fit = fit_isoflop(points, {});
  REQUIRE(fit.budgets.size() == 8);
  CHECK(fit.model_scale.exponent.contains(0.524));
  CHECK(fit.model_scale.exponent.high - fit.model_scale.exponent.low < 0.1);
  std::vector<LossPoint> losses;
  for (size_t i = 0; i < 8; ++i) {
    const IsoflopBudget& b = fit.budgets[i];
    CHECK(b.inside());
    CHECK(b.model_scale_interval.contains(b.model_scale));
    CHECK(b.model_scale == doctest::Approx(optima[i].model_scale).epsilon(0.08));
    CHECK(b.loss == doctest::Approx(optima[i].bpb).epsilon(0.01));
    losses.push_back({b.flops, b.loss});
  }
  // From the points of figure 4a alone to the two models, three orders of magnitude away.
  for (const LossPrediction& p : fit_and_predict(losses, stars, {100, 0.95, 0}).predictions)
    CHECK(std::abs(*p.error()) <= 0.03);
}

TEST_CASE("eight budgets predict the losses of 7B and 67B within 3%") {
  const LossFit fit = fit_and_predict(eight_losses(), stars, Bootstrap{});
  REQUIRE(fit.predictions.size() == 2);
  for (const LossPrediction& p : fit.predictions) {
    CAPTURE(p.target.label);
    CHECK(std::abs(*p.error()) <= 0.03);
    CHECK(p.interval.contains(p.loss));
  }
  CHECK(fit.predictions[0].loss > fit.predictions[1].loss);
  CHECK(fit.alpha.contains(0.0927));  // another's fit of the same points
  CHECK(fit.largest_residual < 0.005);
  // A pure power law, L0 = 0, would miss the larger model: the floor is what the prediction rests on.
  std::vector<double> c, loss;
  for (const LossPoint& p : eight_losses()) c.push_back(p.flops), loss.push_back(p.loss);
  CHECK(std::abs(fit_power_law(c, loss).at(8.655e23) / 0.631 - 1) > 0.10);
}

TEST_CASE("the star of both grids lies inside the band") {
  struct Expected {
    const char* file;
    double flops;
    int64_t cells;
    Interval batch, rate;
    double minimum;
  };
  for (const Expected& e :
       {Expected{"paper/fig2a_grid_1e17_177M.csv", 1e17, 5, {16.5, 18}, {-8.75, -8}, 3.685},
        Expected{"paper/fig2b_grid_1e20_2p94B.csv", 1e20, 20, {19.5, 20.5}, {-10.5, -8.75}, 2.474}}) {
    const auto path = test::shared_fact(e.file);
    if (!path) continue;
    CAPTURE(e.file);
    CHECK(flops_in_name(*path) == e.flops);
    const Grid grid = read_grid(*path);
    CHECK(grid.log2_batch.size() == 10);
    CHECK(grid.log2_rate.size() == 12);
    const GridBand band = find_band(grid, 0.0025, e.flops);
    CHECK(band.minimum == e.minimum);
    CHECK(band.cells == e.cells);
    CHECK(band.log2_batch.low == e.batch.low);
    CHECK(band.log2_batch.high == e.batch.high);
    CHECK(band.log2_rate.low == e.rate.low);
    CHECK(band.log2_rate.high == e.rate.high);
    REQUIRE(band.star);
    CHECK(band.star->on_the_grid);
    CHECK(band.star->inside);
    // And on the surface through the cells, where the noise of single runs is averaged away.
    REQUIRE(band.surface);
    REQUIRE(band.star->above_surface);
    CHECK(*band.star->above_surface <= 0.0025);
    CHECK(band.surface_log2_batch.contains(band.star->log2_batch));
    CHECK(band.surface_log2_rate.contains(band.star->log2_rate));
    // The formula of a budget a million times larger is far off.
    CHECK_FALSE(find_band(grid, 0.0025, e.flops * 1e6).star->inside);
  }
}

TEST_CASE("a band on a grid that is known exactly") {
  Grid grid;
  for (int i = 0; i < 9; ++i) grid.log2_batch.push_back(15 + i);
  for (int j = 0; j < 7; ++j) grid.log2_rate.push_back(-12 + j);
  for (double b : grid.log2_batch) {
    grid.loss.emplace_back();
    for (double r : grid.log2_rate)
      grid.loss.back().push_back(2 + 0.002 * (b - 19.2) * (b - 19.2) + 0.001 * (b - 19.2) * (r + 9.1) +
                                 0.003 * (r + 9.1) * (r + 9.1));
  }
  const GridBand band = find_band(grid);
  CHECK_FALSE(band.star);
  CHECK(grid.log2_batch[static_cast<size_t>(band.row)] == 19);
  CHECK(grid.log2_rate[static_cast<size_t>(band.column)] == -9);
  REQUIRE(band.surface);
  CHECK(band.surface->log2_batch == doctest::Approx(19.2));
  CHECK(band.surface->log2_rate == doctest::Approx(-9.1));
  CHECK(band.surface->minimum == doctest::Approx(2));
  CHECK(band.surface->noise < 1e-12);
  // The edge of the ellipse: along the batch, at the best rate for each, 0.002 db^2 - 0.001^2 db^2 / (4 0.003) = 0.005.
  CHECK(band.surface_log2_batch.high - 19.2 == doctest::Approx(std::sqrt(0.005 / (0.002 - 1e-6 / 0.012))));
  CHECK(band.surface_log2_rate.high + 9.1 == doctest::Approx(std::sqrt(0.005 / (0.003 - 1e-6 / 0.008))));
  CHECK(band.near[4][3]);
  CHECK_FALSE(band.near[0][3]);
  // One cell is a grid.
  const GridBand one = find_band({{19}, {-10}, {{2.5}}}, 0.0025, 1e20);
  CHECK(one.cells == 1);
  CHECK_FALSE(one.surface);
  CHECK_FALSE(one.star->on_the_grid);
  CHECK_THROWS_AS(find_band({{19, 20}, {-10}, {{2.5}}}), ShapeError);
  CHECK_THROWS_AS(find_band({{19, 20}, {-10}, {{2.5}, {}}}), ShapeError);
  CHECK_THROWS_AS(find_band({{20, 19}, {-10}, {{2.5}, {2.5}}}), ValueError);
  CHECK_THROWS_AS(find_band({{19}, {-10}, {{NAN}}}), ValueError);
  CHECK_THROWS_AS(find_band({{19}, {-10}, {{2.5}}}, 0), ValueError);
  CHECK_THROWS_AS(find_band({{19}, {-10}, {{2.5}}}, 0.0025, -1), ValueError);
}
