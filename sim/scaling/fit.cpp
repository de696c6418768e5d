#include "sim/scaling/fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "ref/core/error.hpp"

namespace dsllm::sim {

namespace {

double mean(std::span<const double> x) {
  double sum = 0;
  for (double v : x) sum += v;
  return sum / static_cast<double>(x.size());
}

size_t different(std::span<const double> x) {
  std::vector<double> sorted(x.begin(), x.end());
  std::sort(sorted.begin(), sorted.end());
  return static_cast<size_t>(std::unique(sorted.begin(), sorted.end()) - sorted.begin());
}

void check_pairs(const std::string& operation, std::span<const double> x, std::span<const double> y,
                 size_t needed, bool logarithms) {
  if (x.size() != y.size())
    throw ShapeError(operation, fmt::format("{} values, one a point", x.size()), fmt::format("{}", y.size()));
  for (size_t i = 0; i < x.size(); ++i)
    for (double v : {x[i], y[i]})
      if (!std::isfinite(v) || (logarithms && !(v > 0)))
        throw ValueError(operation, logarithms ? "finite numbers above 0" : "finite numbers",
                         fmt::format("{} at point {}", v, i));
  if (different(x) < needed)
    throw ValueError(operation, fmt::format("points at {} different places at least", needed),
                     fmt::format("{}", different(x)));
}

struct Line {
  double intercept, slope, squares;  // squares: the sum of squared residuals
};

// Least squares of y on x; x must not all be equal.
Line fit_line(std::span<const double> x, std::span<const double> y) {
  const double mx = mean(x), my = mean(y);
  double xx = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mx) * (x[i] - mx);
    xy += (x[i] - mx) * (y[i] - my);
  }
  Line line{0, xy / xx, 0};
  line.intercept = my - line.slope * mx;
  for (size_t i = 0; i < x.size(); ++i) {
    const double r = y[i] - my - line.slope * (x[i] - mx);
    line.squares += r * r;
  }
  return line;
}

std::vector<double> logarithms(std::span<const double> x) {
  std::vector<double> y(x.size());
  std::transform(x.begin(), x.end(), y.begin(), [](double v) { return std::log(v); });
  return y;
}

}  // namespace

double PowerLaw::at(double c) const {
  return base * std::pow(c, exponent);
}

double LossLaw::at(double c) const {
  return floor + scale * std::pow(c / reference, -alpha);
}

std::optional<PowerLaw> try_power_law(std::span<const double> c, std::span<const double> y) {
  if (different(c) < 2) return std::nullopt;
  const Line line = fit_line(logarithms(c), logarithms(y));
  return PowerLaw{std::exp(line.intercept), line.slope};
}

PowerLaw fit_power_law(std::span<const double> c, std::span<const double> y) {
  check_pairs("power law", c, y, 2, true);
  return *try_power_law(c, y);
}

// With u = (x - mean) / spread and orthogonal polynomials 1, u, u^2 - s u - q of the points, the normal equations are
// diagonal: no solver is needed, and nothing is lost where the x lie close together.
std::optional<Parabola> try_parabola(std::span<const double> x, std::span<const double> y) {
  if (different(x) < 3) return std::nullopt;
  const double mx = mean(x), n = static_cast<double>(x.size());
  double spread = 0;
  for (double v : x) spread = std::max(spread, std::abs(v - mx));
  double u2 = 0, u3 = 0;
  for (double v : x) {
    const double u = (v - mx) / spread;
    u2 += u * u;
    u3 += u * u * u;
  }
  const double s = u3 / u2, q = u2 / n;
  double uy = 0, py = 0, pp = 0;
  const double my = mean(y);
  for (size_t i = 0; i < x.size(); ++i) {
    const double u = (x[i] - mx) / spread, p = u * u - s * u - q;
    uy += u * (y[i] - my);
    py += p * (y[i] - my);
    pp += p * p;
  }
  const double slope = uy / u2, bend = py / pp;  // y = my + slope u + bend p(u)
  if (!(bend > 0) || !std::isfinite(bend)) return std::nullopt;
  const double u = (s - slope / bend) / 2;
  return Parabola{mx + spread * u, my + slope * u + bend * (u * u - s * u - q), bend / (spread * spread)};
}

Parabola fit_parabola(std::span<const double> x, std::span<const double> y) {
  check_pairs("parabola", x, y, 3, false);
  const std::optional<Parabola> fit = try_parabola(x, y);
  if (!fit) throw ValueError("parabola", "points that have a minimum", "a curve that bends downwards");
  return *fit;
}

std::optional<LossLaw> try_loss_law(std::span<const double> c, std::span<const double> loss) {
  if (different(c) < 3) return std::nullopt;
  const double reference = std::exp(mean(logarithms(c)));
  std::vector<double> x(c.size());
  // The best L0 and A for this alpha, and what they leave.
  const auto line_at = [&](double alpha) {
    for (size_t i = 0; i < c.size(); ++i) x[i] = std::pow(c[i] / reference, -alpha);
    return fit_line(x, loss);
  };
  const auto squares = [&](double log_alpha) { return line_at(std::exp(log_alpha)).squares; };
  // A coarse scan finds the valley, golden section its bottom (the sum of squares need not have one valley only).
  constexpr int64_t steps = 60;
  const double low = std::log(0.001), high = std::log(4.0), step = (high - low) / steps;
  std::array<double, steps + 1> scan;
  for (int64_t k = 0; k <= steps; ++k)
    scan[static_cast<size_t>(k)] = squares(low + step * static_cast<double>(k));
  const int64_t best = std::min_element(scan.begin(), scan.end()) - scan.begin();
  if (best == 0 || best == steps) return std::nullopt;
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double a = low + step * static_cast<double>(best - 1), b = low + step * static_cast<double>(best + 1);
  double p = b - golden * (b - a), q = a + golden * (b - a), at_p = squares(p), at_q = squares(q);
  while (b - a > 1e-10) {
    if (at_p < at_q) {
      b = q, q = p, at_q = at_p;
      p = b - golden * (b - a), at_p = squares(p);
    } else {
      a = p, p = q, at_p = at_q;
      q = a + golden * (b - a), at_q = squares(q);
    }
  }
  const double alpha = std::exp((a + b) / 2);
  const Line line = line_at(alpha);
  if (!(line.slope > 0)) return std::nullopt;
  return LossLaw{line.intercept, line.slope, alpha, reference};
}

LossLaw fit_loss_law(std::span<const double> c, std::span<const double> loss, const std::string& name) {
  check_pairs(name, c, loss, 4, true);
  const std::optional<LossLaw> fit = try_loss_law(c, loss);
  if (!fit)
    throw ValueError(name, "losses that fall as L0 + A C^-alpha with alpha between 0.001 and 4",
                     "losses that no such curve fits best");
  return *fit;
}

std::vector<int64_t> draw_with_replacement(int64_t n, Philox& random) {
  std::vector<int64_t> indices(static_cast<size_t>(n));
  for (int64_t& i : indices) i = static_cast<int64_t>(random.below(static_cast<uint64_t>(n)));
  return indices;
}

std::vector<double> at_indices(std::span<const double> x, std::span<const int64_t> indices) {
  std::vector<double> y(indices.size());
  for (size_t i = 0; i < indices.size(); ++i) y[i] = x[static_cast<size_t>(indices[i])];
  return y;
}

std::vector<Interval> bootstrap(const Bootstrap& options, size_t size,
                                const std::function<std::optional<std::vector<double>>(Philox&)>& statistics,
                                int64_t* spoiled) {
  if (!(options.confidence > 0 && options.confidence < 1))
    throw ValueError("confidence", "above 0 and below 1", fmt::format("{}", options.confidence));
  if (options.resamples < 2 || options.resamples > 10'000'000)
    throw ValueError("resamples", "from 2 to 10,000,000", fmt::format("{}", options.resamples));
  std::vector<std::vector<double>> values(size);
  int64_t again = 0;
  for (uint64_t stream = 0; static_cast<int64_t>(values[0].size()) < options.resamples; ++stream) {
    Philox random{options.seed, stream};
    const std::optional<std::vector<double>> drawn = statistics(random);
    if (drawn)
      for (size_t k = 0; k < size; ++k) values[k].push_back((*drawn)[k]);
    else if (++again > 9 * options.resamples)
      throw ValueError("bootstrap", "points of which one draw in ten can be fitted", "too few points");
  }
  if (spoiled) *spoiled = again;
  std::vector<Interval> intervals;
  for (std::vector<double>& v : values) {
    std::sort(v.begin(), v.end());
    const auto quantile = [&](double p) {  // linear between the two nearest
      const double at = p * static_cast<double>(v.size() - 1);
      const size_t below = static_cast<size_t>(at), above = std::min(below + 1, v.size() - 1);
      return v[below] + (at - static_cast<double>(below)) * (v[above] - v[below]);
    };
    const double tail = (1 - options.confidence) / 2;
    intervals.push_back({quantile(tail), quantile(1 - tail)});
  }
  return intervals;
}

PowerLawFit fit_power_law(std::span<const double> c, std::span<const double> y, const Bootstrap& options) {
  PowerLawFit fit;
  fit.law = fit_power_law(c, y);
  const std::vector<Interval> intervals =
      bootstrap(options, 2, [&](Philox& random) -> std::optional<std::vector<double>> {
        const std::vector<int64_t> drawn = draw_with_replacement(static_cast<int64_t>(c.size()), random);
        const std::optional<PowerLaw> law = try_power_law(at_indices(c, drawn), at_indices(y, drawn));
        if (!law) return std::nullopt;
        return std::vector<double>{law->base, law->exponent};
      });
  fit.base = intervals[0];
  fit.exponent = intervals[1];
  return fit;
}

}  // namespace dsllm::sim
