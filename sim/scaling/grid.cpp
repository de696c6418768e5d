#include "sim/scaling/grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "ref/core/error.hpp"
#include "sim/scaling/csv.hpp"
#include "sim/scaling/laws.hpp"

namespace dsllm::sim {

namespace {

// Solves the 6 normal equations by elimination with pivots; false if they are singular.
bool solve(std::array<std::array<double, 7>, 6>& a) {
  for (size_t i = 0; i < 6; ++i) {
    size_t pivot = i;
    for (size_t k = i + 1; k < 6; ++k)
      if (std::abs(a[k][i]) > std::abs(a[pivot][i])) pivot = k;
    std::swap(a[i], a[pivot]);
    if (!(std::abs(a[i][i]) > 1e-12)) return false;
    for (size_t k = 0; k < 6; ++k) {
      if (k == i) continue;
      const double f = a[k][i] / a[i][i];
      for (size_t j = i; j < 7; ++j) a[k][j] -= f * a[i][j];
    }
  }
  for (size_t i = 0; i < 6; ++i) a[i][6] /= a[i][i];
  return true;
}

std::optional<QuadraticSurface> fit_surface(const Grid& grid, double below, double batch0, double rate0) {
  std::array<std::array<double, 7>, 6> equations{};
  std::vector<std::pair<std::array<double, 6>, double>> cells;
  for (size_t i = 0; i < grid.log2_batch.size(); ++i)
    for (size_t j = 0; j < grid.log2_rate.size(); ++j) {
      const double y = grid.loss[i][j], b = grid.log2_batch[i] - batch0, r = grid.log2_rate[j] - rate0;
      if (!(y <= below)) continue;
      cells.push_back({{1, b, r, b * b, b * r, r * r}, y});
      const auto& f = cells.back().first;
      for (size_t p = 0; p < 6; ++p) {
        for (size_t q = 0; q < 6; ++q) equations[p][q] += f[p] * f[q];
        equations[p][6] += f[p] * y;
      }
    }
  if (cells.size() < 7 || !solve(equations)) return std::nullopt;
  std::array<double, 6> k{};
  for (size_t p = 0; p < 6; ++p) k[p] = equations[p][6];
  const double determinant = 4 * k[3] * k[5] - k[4] * k[4];
  if (!(determinant > 0 && k[3] > 0)) return std::nullopt;  // a saddle or a ridge
  const double b = (k[4] * k[2] - 2 * k[5] * k[1]) / determinant;
  const double r = (k[4] * k[1] - 2 * k[3] * k[2]) / determinant;
  QuadraticSurface surface{k[0] + (k[1] * b + k[2] * r) / 2, batch0 + b, rate0 + r, k[3], k[4], k[5], 0, 0};
  double squares = 0;
  for (const auto& [f, y] : cells) {
    double left = y;
    for (size_t p = 0; p < 6; ++p) left -= k[p] * f[p];
    squares += left * left;
  }
  surface.cells = static_cast<int64_t>(cells.size());
  surface.noise = std::sqrt(squares / static_cast<double>(cells.size() - 6));
  return surface;
}

bool rises(const std::vector<double>& x) {
  for (size_t i = 0; i < x.size(); ++i)
    if (!std::isfinite(x[i]) || (i > 0 && !(x[i] > x[i - 1]))) return false;
  return !x.empty();
}

size_t nearest(const std::vector<double>& x, double at) {
  return static_cast<size_t>(
      std::min_element(x.begin(), x.end(),
                       [at](double p, double q) { return std::abs(p - at) < std::abs(q - at); }) -
      x.begin());
}

// Bilinear, between the four cells around a place on the grid.
double between_cells(const Grid& grid, double batch, double rate) {
  const auto cell = [](const std::vector<double>& x, double at) {
    const size_t above = static_cast<size_t>(std::upper_bound(x.begin(), x.end(), at) - x.begin());
    const size_t high = std::clamp<size_t>(above, std::min<size_t>(1, x.size() - 1), x.size() - 1);
    const size_t low = high > 0 ? high - 1 : 0;
    return std::tuple(low, high, high == low ? 0.0 : (at - x[low]) / (x[high] - x[low]));
  };
  const auto [i, i2, u] = cell(grid.log2_batch, batch);
  const auto [j, j2, v] = cell(grid.log2_rate, rate);
  return (1 - u) * ((1 - v) * grid.loss[i][j] + v * grid.loss[i][j2]) +
         u * ((1 - v) * grid.loss[i2][j] + v * grid.loss[i2][j2]);
}

Star place_star(const Grid& grid, const GridBand& band, double flops) {
  if (!(flops > 0) || !std::isfinite(flops))
    throw ValueError("compute", "a finite number of FLOPs above 0", fmt::format("{}", flops));
  Star star;
  star.flops = flops;
  star.log2_batch = std::log2(optimal_batch_tokens.at(flops));
  star.log2_rate = std::log2(optimal_learning_rate.at(flops));
  star.on_the_grid = grid.log2_batch.front() <= star.log2_batch &&
                     star.log2_batch <= grid.log2_batch.back() && grid.log2_rate.front() <= star.log2_rate &&
                     star.log2_rate <= grid.log2_rate.back();
  star.inside = band.log2_batch.contains(star.log2_batch) && band.log2_rate.contains(star.log2_rate);
  star.row = static_cast<int64_t>(nearest(grid.log2_batch, star.log2_batch));
  star.column = static_cast<int64_t>(nearest(grid.log2_rate, star.log2_rate));
  if (star.on_the_grid) star.loss = between_cells(grid, star.log2_batch, star.log2_rate);
  if (band.surface && star.on_the_grid)
    star.above_surface = band.surface->at(star.log2_batch, star.log2_rate) / band.surface->minimum - 1;
  return star;
}

}  // namespace

double QuadraticSurface::at(double b, double r) const {
  const double db = b - log2_batch, dr = r - log2_rate;
  return minimum + batch2 * db * db + batch_rate * db * dr + rate2 * dr * dr;
}

GridBand find_band(const Grid& grid, double tolerance, std::optional<double> flops) {
  if (!(tolerance > 0 && tolerance <= 1))
    throw ValueError("tolerance", "above 0 and at most 1", fmt::format("{}", tolerance));
  if (!rises(grid.log2_batch) || !rises(grid.log2_rate))
    throw ValueError("grid", "axes of finite numbers that rise", "others");
  bool full = grid.loss.size() == grid.log2_batch.size();
  for (const std::vector<double>& row : grid.loss) full = full && row.size() == grid.log2_rate.size();
  if (!full)
    throw ShapeError("grid", fmt::format("[{}, {}] losses", grid.log2_batch.size(), grid.log2_rate.size()),
                     "others");
  GridBand band;
  band.tolerance = tolerance;
  band.minimum = INFINITY;
  for (size_t i = 0; i < grid.log2_batch.size(); ++i)
    for (size_t j = 0; j < grid.log2_rate.size(); ++j) {
      const double y = grid.loss[i][j];
      if (!(y > 0) || !std::isfinite(y))
        throw ValueError("grid", "finite losses above 0",
                         fmt::format("{} in row {}, column {}", y, i + 1, j + 1));
      if (y < band.minimum)
        band.minimum = y, band.row = static_cast<int64_t>(i), band.column = static_cast<int64_t>(j);
    }
  band.log2_batch = band.log2_rate = {INFINITY, -INFINITY};
  for (size_t i = 0; i < grid.log2_batch.size(); ++i) {
    band.near.emplace_back();
    for (size_t j = 0; j < grid.log2_rate.size(); ++j) {
      const bool near = grid.loss[i][j] <= band.minimum * (1 + tolerance);
      band.near.back().push_back(near);
      if (!near) continue;
      ++band.cells;
      band.log2_batch = {std::min(band.log2_batch.low, grid.log2_batch[i]),
                         std::max(band.log2_batch.high, grid.log2_batch[i])};
      band.log2_rate = {std::min(band.log2_rate.low, grid.log2_rate[j]),
                        std::max(band.log2_rate.high, grid.log2_rate[j])};
    }
  }
  const size_t row = static_cast<size_t>(band.row), column = static_cast<size_t>(band.column);
  band.surface =
      fit_surface(grid, band.minimum * (1 + 10 * tolerance), grid.log2_batch[row], grid.log2_rate[column]);
  if (band.surface) {
    // The ellipse a db^2 + b db dr + c dr^2 = t reaches db = sqrt(4 c t / (4 a c - b^2)), dr likewise.
    const QuadraticSurface& s = *band.surface;
    const double t = tolerance * s.minimum, d = 4 * s.batch2 * s.rate2 - s.batch_rate * s.batch_rate;
    const double db = std::sqrt(4 * s.rate2 * t / d), dr = std::sqrt(4 * s.batch2 * t / d);
    band.surface_log2_batch = {s.log2_batch - db, s.log2_batch + db};
    band.surface_log2_rate = {s.log2_rate - dr, s.log2_rate + dr};
  }
  if (flops) band.star = place_star(grid, band, *flops);
  return band;
}

Grid read_grid(const std::string& path) {
  const CsvTable table = read_csv(path);
  const std::string& corner = table.columns[0];
  const bool logarithms = corner == "log2_batch_tokens\\log2_lr";
  if (!logarithms && corner != "batch_tokens\\lr")
    throw FileError(path, "first cell", "log2_batch_tokens\\log2_lr or batch_tokens\\lr", corner);
  if (table.columns.size() < 2) throw FileError(path, "line of column names", "one column a rate", "none");
  Grid grid;
  const auto add = [&](std::vector<double>& axis, double value, const std::string& place) {
    if (!logarithms) {
      if (!(value > 0)) throw FileError(path, place, "a number above 0", fmt::format("{}", value));
      value = std::log2(value);
    }
    if (!axis.empty() && !(value > axis.back()))
      throw FileError(path, place, "an axis that rises, every value once",
                      fmt::format("{:g} after {:g}", value, axis.back()));
    axis.push_back(value);
  };
  for (size_t c = 1; c < table.columns.size(); ++c) {
    double value = 0;
    std::string_view rest;
    const std::string place = fmt::format("line of column names, cell {}", c + 1);
    if (!parse_leading_number(table.columns[c], value, rest) || !rest.empty())
      throw FileError(path, place, "a learning rate", table.columns[c]);
    add(grid.log2_rate, value, place);
  }
  for (int64_t row = 0; row < static_cast<int64_t>(table.rows.size()); ++row) {
    add(grid.log2_batch, table.number(row, 0), table.place(row, 0));
    grid.loss.emplace_back();
    for (size_t c = 1; c < table.columns.size(); ++c)
      grid.loss.back().push_back(table.positive(row, static_cast<int64_t>(c)));
  }
  return grid;
}

std::optional<double> flops_in_name(const std::string& path) {
  std::string name = std::filesystem::path(path).stem().string();
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find_first_of("_-.", begin), name.size());
    const std::string_view part = std::string_view(name).substr(begin, end - begin);
    double value = 0;
    std::string_view rest;
    if (part.find_first_of("eE") != std::string_view::npos && parse_leading_number(part, value, rest) &&
        rest.empty() && value > 0)
      return value;
    begin = end + 1;
  }
  return std::nullopt;
}

}  // namespace dsllm::sim
