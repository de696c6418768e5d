#include <cmath>

#include "ref/core/json.hpp"
#include "sim/scaling/commands_shared.hpp"
#include "sim/scaling/grid.hpp"
#include "sim/scaling/isoflop.hpp"
#include "sim/scaling/laws.hpp"
#include "sim/scaling/text.hpp"

namespace dsllm::sim {

namespace {

Json json_of(const Interval& interval) {
  return {interval.low, interval.high};
}

Json json_of(const PowerLawFit& fit) {
  return {{"base", fit.law.base},
          {"base_interval", json_of(fit.base)},
          {"exponent", fit.law.exponent},
          {"exponent_interval", json_of(fit.exponent)}};
}

void print_isoflop(const ScalingIsoflopOptions& options, const IsoflopFit& fit, std::ostream& out) {
  out << fmt::format("IsoFLOP profiles of {}: loss = L_opt + k (ln M - ln M_opt)^2 for every budget\n\n",
                     options.input);
  out << fmt::format("  {:>8} {:>9} {:>11}  {:<22} {:>11} {:>8}\n", "C", "points", "M_opt", "interval",
                     "D = C / M", "L_opt");
  for (const IsoflopBudget& b : fit.budgets)
    out << fmt::format(
        "  {:>8} {:>9} {:>11}  {:<22} {:>11} {:>8.4f}{}\n", compact(b.flops),
        fmt::format("{} of {}", b.used, b.points), compact(b.model_scale),
        fmt::format("[{}, {}]", compact(b.model_scale_interval.low), compact(b.model_scale_interval.high)),
        compact(b.tokens), b.loss, b.inside() ? "" : "  outside of what was trained");
  if (options.window > 0)
    out << fmt::format(
        "  Points count within a factor of {:g} of their budget's best M, at least the nearest four.\n",
        options.window);
  out << "\nPower laws through the minima\n";
  out << fmt::format("  M_opt = {} C^a   a = {}\n", compact(fit.model_scale.law.base),
                     with_interval(fit.model_scale.law.exponent, fit.model_scale.exponent));
  out << fmt::format("  D_opt = {} C^b   b = {}\n", compact(fit.tokens.law.base),
                     with_interval(fit.tokens.law.exponent, fit.tokens.exponent));
  out << fmt::format(
      "  {:g}% intervals: {} resamples of points and budgets, seed {}. The paper (equation 4): a = {:g}, b = "
      "{:g}.\n",
      100 * options.bootstrap.confidence, options.bootstrap.resamples, options.bootstrap.seed,
      optimal_model_scale.exponent, optimal_tokens.exponent);
}

std::string range(const Interval& log2, bool tokens) {
  const auto value = [&](double x) {
    return tokens ? fmt::format("{:.0f}", std::exp2(x)) : compact(std::exp2(x), 3);
  };
  return fmt::format("2^{:g} to 2^{:g} = {} to {}", log2.low, log2.high, value(log2.low), value(log2.high));
}

// One cell of seven characters: [2.476] near-optimal, <2.474> the minimum, a * after the cell nearest to the star.
std::string cell(double loss, bool near, bool minimum, bool star) {
  const char open = minimum ? '<' : near ? '[' : ' ', close = minimum ? '>' : near ? ']' : ' ';
  return fmt::format("{}{:.3f}{}{}", open, loss, close, star ? '*' : ' ');
}

void print_grid(const ScalingGridOptions& options, const Grid& grid, const GridBand& band, bool from_name,
                std::ostream& out) {
  out << fmt::format("Grid of {}: loss by batch (rows) and learning rate (columns)\n\n", options.input);
  out << "  log2 tokens | log2 rate\n           ";
  for (double rate : grid.log2_rate) out << fmt::format("{:>8g}", rate);
  out << '\n';
  for (size_t i = 0; i < grid.log2_batch.size(); ++i) {
    out << fmt::format("  {:>8g} |", grid.log2_batch[i]);
    for (size_t j = 0; j < grid.log2_rate.size(); ++j) {
      const auto is = [&](int64_t row, int64_t column) {
        return row == static_cast<int64_t>(i) && column == static_cast<int64_t>(j);
      };
      out << cell(grid.loss[i][j], band.near[i][j], is(band.row, band.column),
                  band.star && is(band.star->row, band.star->column));
    }
    out << '\n';
  }
  const double percent = 100 * band.tolerance;
  out << fmt::format("\n  < > the minimum, [ ] within {:g}% of it", percent);
  out << (band.star ? ", * the cell nearest to the formula's star\n\n" : "\n\n");
  out << fmt::format("Band: {} of {} cells with loss <= {:g} * (1 + {:g}%) = {:.4f}\n", band.cells,
                     grid.log2_batch.size() * grid.log2_rate.size(), band.minimum, percent,
                     band.minimum * (1 + band.tolerance));
  out << fmt::format("  batch          {} tokens\n", range(band.log2_batch, true));
  out << fmt::format("  learning rate  {}\n", range(band.log2_rate, false));
  if (band.surface) {
    const QuadraticSurface& s = *band.surface;
    out << fmt::format(
        "Surface: a quadratic through {} cells within {:g}%, noise {:.2f}%: minimum {:.4f} at 2^{:.2f} "
        "tokens, 2^{:.2f}\n",
        s.cells, 10 * percent, 100 * s.noise / s.minimum, s.minimum, s.log2_batch, s.log2_rate);
    out << fmt::format("  within {:g}%: batch 2^{:.2f} to 2^{:.2f}, learning rate 2^{:.2f} to 2^{:.2f}\n",
                       percent, band.surface_log2_batch.low, band.surface_log2_batch.high,
                       band.surface_log2_rate.low, band.surface_log2_rate.high);
    if (s.noise > band.tolerance * s.minimum)
      out << "  A single run scatters by more than the band is wide: the surface says more than the cells.\n";
  } else {
    out << "Surface: none; the cells near the minimum are too few, or have no minimum among them\n";
  }
  if (!band.star) {
    out << "Star: none; --compute gives the grid's budget\n";
    return;
  }
  const Star& star = *band.star;
  out << fmt::format("Star, equation (1) at C = {}{}\n", compact(star.flops),
                     from_name ? " (from the file's name)" : "");
  out << fmt::format("  B   = {} = {} tokens = 2^{:.2f}\n", with_numbers(optimal_batch_tokens, star.flops),
                     compact(std::exp2(star.log2_batch)), star.log2_batch);
  out << fmt::format("  eta = {} = {} = 2^{:.2f}\n", with_numbers(optimal_learning_rate, star.flops),
                     compact(std::exp2(star.log2_rate), 3), star.log2_rate);
  if (!star.on_the_grid) {
    out << "  off the grid\n";
    return;
  }
  out << fmt::format("  {} the ranges of the band", star.inside ? "inside" : "outside of");
  out << fmt::format("; between its four cells {:.4f}, {:+.2f}% of the minimum", *star.loss,
                     100 * (*star.loss / band.minimum - 1));
  if (star.above_surface)
    out << fmt::format("; on the surface {:+.2f}% of its minimum", 100 * *star.above_surface);
  out << '\n';
}

Json json_of(const Grid& grid, const GridBand& band) {
  Json json = {{"tolerance", band.tolerance},
               {"minimum", band.minimum},
               {"minimum_log2_batch_tokens", grid.log2_batch[static_cast<size_t>(band.row)]},
               {"minimum_log2_learning_rate", grid.log2_rate[static_cast<size_t>(band.column)]},
               {"near_cells", band.cells},
               {"log2_batch_tokens_range", json_of(band.log2_batch)},
               {"log2_learning_rate_range", json_of(band.log2_rate)},
               {"surface", Json()},
               {"star", Json()},
               {"cells", Json::array()}};
  if (band.surface)
    json["surface"] = {{"minimum", band.surface->minimum},
                       {"log2_batch_tokens", band.surface->log2_batch},
                       {"log2_learning_rate", band.surface->log2_rate},
                       {"cells", band.surface->cells},
                       {"noise", band.surface->noise},
                       {"log2_batch_tokens_range", json_of(band.surface_log2_batch)},
                       {"log2_learning_rate_range", json_of(band.surface_log2_rate)}};
  if (band.star) {
    const Star& s = *band.star;
    json["star"] = {{"compute_flops", s.flops},
                    {"log2_batch_tokens", s.log2_batch},
                    {"log2_learning_rate", s.log2_rate},
                    {"on_the_grid", s.on_the_grid},
                    {"inside", s.inside},
                    {"loss", s.loss ? Json(*s.loss) : Json()},
                    {"above_surface", s.above_surface ? Json(*s.above_surface) : Json()}};
  }
  for (size_t i = 0; i < grid.log2_batch.size(); ++i)
    for (size_t j = 0; j < grid.log2_rate.size(); ++j)
      json["cells"].push_back({{"log2_batch_tokens", grid.log2_batch[i]},
                               {"log2_learning_rate", grid.log2_rate[j]},
                               {"loss", grid.loss[i][j]},
                               {"near", static_cast<bool>(band.near[i][j])}});
  return json;
}

}  // namespace

void scaling_isoflop_command(const ScalingIsoflopOptions& options, std::ostream& out) {
  check_format(options.format);
  const IsoflopFit fit =
      fit_isoflop(read_isoflop(options.input), {options.window, options.bootstrap}, options.input);
  if (options.format.json) {
    Json json = {{"model_scale", json_of(fit.model_scale)},
                 {"tokens", json_of(fit.tokens)},
                 {"confidence", options.bootstrap.confidence},
                 {"window", options.window},
                 {"budgets", Json::array()}};
    for (const IsoflopBudget& b : fit.budgets)
      json["budgets"].push_back({{"compute_flops", b.flops},
                                 {"points", b.points},
                                 {"used", b.used},
                                 {"model_scale_flops_per_token", b.model_scale},
                                 {"model_scale_interval", json_of(b.model_scale_interval)},
                                 {"tokens", b.tokens},
                                 {"loss", b.loss},
                                 {"curvature", b.curve.curvature},
                                 {"inside", b.inside()}});
    out << json.dump(2) << '\n';
  } else if (options.format.csv) {
    out << "compute_flops,points,used,model_scale_flops_per_token,low,high,tokens,loss\n";
    for (const IsoflopBudget& b : fit.budgets)
      out << fmt::format("{},{},{},{},{},{},{},{}\n", b.flops, b.points, b.used, b.model_scale,
                         b.model_scale_interval.low, b.model_scale_interval.high, b.tokens, b.loss);
  } else {
    print_isoflop(options, fit, out);
  }
}

void scaling_grid_command(const ScalingGridOptions& options, std::ostream& out) {
  check_format(options.format);
  const Grid grid = read_grid(options.input);
  std::optional<double> flops;
  if (options.compute != 0)
    flops = options.compute;
  else
    flops = flops_in_name(options.input);
  const GridBand band = find_band(grid, options.tolerance, flops);
  if (options.format.json) {
    out << json_of(grid, band).dump(2) << '\n';
  } else if (options.format.csv) {
    out << "log2_batch_tokens,log2_learning_rate,loss,near\n";
    for (size_t i = 0; i < grid.log2_batch.size(); ++i)
      for (size_t j = 0; j < grid.log2_rate.size(); ++j)
        out << fmt::format("{},{},{},{}\n", grid.log2_batch[i], grid.log2_rate[j], grid.loss[i][j],
                           band.near[i][j] ? 1 : 0);
  } else {
    print_grid(options, grid, band, options.compute == 0, out);
  }
}

}  // namespace dsllm::sim
