#include "sim/scaling/isoflop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "ref/core/error.hpp"
#include "sim/scaling/csv.hpp"

namespace dsllm::sim {

namespace {

// The used points of one budget.
struct Curve {
  std::vector<double> log_scale, loss;
};

Curve around_the_best(std::vector<IsoflopPoint> points, double window) {
  const IsoflopPoint best = *std::min_element(points.begin(), points.end(),
                                              [](const auto& p, const auto& q) { return p.loss < q.loss; });
  const auto distance = [&](const IsoflopPoint& p) {
    return std::abs(std::log(p.model_scale / best.model_scale));
  };
  std::stable_sort(points.begin(), points.end(),
                   [&](const auto& p, const auto& q) { return distance(p) < distance(q); });
  Curve curve;
  for (const IsoflopPoint& p : points)
    if (window == 0 || curve.loss.size() < 4 || distance(p) <= std::log(window) * (1 + 1e-12)) {
      curve.log_scale.push_back(std::log(p.model_scale));
      curve.loss.push_back(p.loss);
    }
  return curve;
}

// A parabola through resampled points. Nothing if a hundred draws in a row have no minimum.
std::optional<Parabola> resampled(const Curve& curve, Philox& random) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::vector<int64_t> drawn = draw_with_replacement(static_cast<int64_t>(curve.loss.size()), random);
    if (const auto fit = try_parabola(at_indices(curve.log_scale, drawn), at_indices(curve.loss, drawn)))
      return fit;
  }
  return std::nullopt;
}

void check(const std::map<double, std::vector<IsoflopPoint>>& budgets, const IsoflopOptions& options,
           const std::string& name) {
  if (!(options.window == 0 || (options.window > 1 && std::isfinite(options.window))))
    throw ValueError("window", "0 or a factor above 1", fmt::format("{}", options.window));
  if (budgets.size() < 2)
    throw ValueError(name, "two different budgets at least", fmt::format("{}", budgets.size()));
  for (const auto& [flops, points] : budgets) {
    const std::string place = fmt::format("{}, budget {:g}", name, flops);
    std::map<double, int> scales;
    for (const IsoflopPoint& p : points) {
      for (double v : {p.flops, p.model_scale, p.loss})
        if (!(v > 0) || !std::isfinite(v))
          throw ValueError(place, "finite numbers above 0", fmt::format("{}", v));
      if (scales[p.model_scale]++)
        throw ValueError(place, "every model scale once", fmt::format("{:g} again", p.model_scale));
    }
    if (scales.size() < 3)
      throw ValueError(place, "three model scales at least", fmt::format("{}", scales.size()));
  }
}

}  // namespace

IsoflopFit fit_isoflop(const std::vector<IsoflopPoint>& points, const IsoflopOptions& options,
                       const std::string& name) {
  std::map<double, std::vector<IsoflopPoint>> by_budget;
  for (const IsoflopPoint& p : points) by_budget[p.flops].push_back(p);
  check(by_budget, options, name);

  IsoflopFit fit;
  std::vector<Curve> curves;
  std::vector<double> flops, scales, tokens;
  for (const auto& [c, of_budget] : by_budget) {
    curves.push_back(around_the_best(of_budget, options.window));
    const Curve& curve = curves.back();
    IsoflopBudget b;
    b.flops = c;
    b.points = static_cast<int64_t>(of_budget.size());
    b.used = static_cast<int64_t>(curve.loss.size());
    const auto [low, high] = std::minmax_element(curve.log_scale.begin(), curve.log_scale.end());
    b.smallest = std::exp(*low);
    b.largest = std::exp(*high);
    const auto parabola = try_parabola(curve.log_scale, curve.loss);
    if (!parabola)
      throw ValueError(fmt::format("{}, budget {:g}", name, c), "a curve with a minimum",
                       "losses that bend downwards");
    b.curve = *parabola;
    b.model_scale = std::exp(b.curve.minimum_x);
    b.tokens = c / b.model_scale;
    b.loss = b.curve.minimum_y;
    if (!(b.model_scale > 0) || !std::isfinite(b.model_scale) || !(b.tokens > 0))
      throw ValueError(fmt::format("{}, budget {:g}", name, c), "a minimum near the points",
                       fmt::format("one at ln M = {:g}", b.curve.minimum_x));
    flops.push_back(c), scales.push_back(b.model_scale), tokens.push_back(b.tokens);
    fit.budgets.push_back(b);
  }
  fit.model_scale.law = fit_power_law(flops, scales);
  fit.tokens.law = fit_power_law(flops, tokens);

  // One draw: a minimum for every budget (their own intervals), then the power law through budgets drawn again.
  const size_t n = curves.size();
  const std::vector<Interval> intervals =
      bootstrap(options.bootstrap, n + 4, [&](Philox& random) -> std::optional<std::vector<double>> {
        std::vector<double> drawn_scales(n), drawn_tokens(n), numbers;
        for (size_t i = 0; i < n; ++i) {
          const auto parabola = resampled(curves[i], random);
          if (!parabola) return std::nullopt;
          drawn_scales[i] = std::exp(parabola->minimum_x);
          drawn_tokens[i] = flops[i] / drawn_scales[i];
          // A nearly straight curve has its minimum anywhere.
          if (!(drawn_scales[i] > 0 && drawn_tokens[i] > 0 && std::isfinite(drawn_scales[i])))
            return std::nullopt;
        }
        numbers = drawn_scales;
        const std::vector<int64_t> drawn = draw_with_replacement(static_cast<int64_t>(n), random);
        const auto m = try_power_law(at_indices(flops, drawn), at_indices(drawn_scales, drawn));
        const auto d = try_power_law(at_indices(flops, drawn), at_indices(drawn_tokens, drawn));
        if (!m || !d) return std::nullopt;
        for (double v : {m->base, m->exponent, d->base, d->exponent}) numbers.push_back(v);
        return numbers;
      });
  for (size_t i = 0; i < n; ++i) fit.budgets[i].model_scale_interval = intervals[i];
  fit.model_scale.base = intervals[n];
  fit.model_scale.exponent = intervals[n + 1];
  fit.tokens.base = intervals[n + 2];
  fit.tokens.exponent = intervals[n + 3];
  return fit;
}

std::vector<IsoflopPoint> read_isoflop(const std::string& path) {
  const CsvTable table = read_csv(path);
  const int64_t c = table.require({"C"}), m = table.require({"M", "M_flops_per_token"});
  const int64_t loss = table.require({"loss", "bpb", "val_bpb"});
  table.expect_only({c, m, loss});
  std::vector<IsoflopPoint> points;
  std::map<std::pair<double, double>, int64_t> seen;
  std::map<double, std::map<double, int>> scales;
  for (int64_t row = 0; row < static_cast<int64_t>(table.rows.size()); ++row) {
    const IsoflopPoint p{table.positive(row, c), table.positive(row, m), table.positive(row, loss)};
    const auto [at, is_new] = seen.emplace(std::pair(p.flops, p.model_scale), row);
    if (!is_new)
      throw FileError(path, table.place(row, m), "every model scale once in a budget",
                      fmt::format("{:g} at C = {:g}, as in line {}", p.model_scale, p.flops,
                                  table.lines[static_cast<size_t>(at->second)]));
    points.push_back(p);
    scales[p.flops][p.model_scale] = 1;
  }
  for (const auto& [flops, of_budget] : scales)
    if (of_budget.size() < 3)
      throw FileError(path, fmt::format("column {}, C = {:g}", table.columns[static_cast<size_t>(m)], flops),
                      "three model scales at least, for a parabola", fmt::format("{}", of_budget.size()));
  if (scales.size() < 2) throw FileError(path, "column C", "two budgets at least, for a power law", "one");
  return points;
}

}  // namespace dsllm::sim
