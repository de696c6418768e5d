#include "sim/scaling/predict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "ref/core/error.hpp"
#include "sim/scaling/csv.hpp"

namespace dsllm::sim {

double LossFit::scale_at_1() const {
  return law.scale * std::pow(law.reference, law.alpha);
}

LossFit fit_and_predict(const std::vector<LossPoint>& points, const std::vector<LossTarget>& targets,
                        const Bootstrap& options, const std::string& name) {
  std::vector<double> c, loss;
  for (const LossPoint& p : points) c.push_back(p.flops), loss.push_back(p.loss);
  LossFit fit;
  fit.law = fit_loss_law(c, loss, name);
  for (const LossPoint& p : points)
    fit.largest_residual = std::max(fit.largest_residual, std::abs(fit.law.at(p.flops) / p.loss - 1));
  for (const LossTarget& t : targets) {
    if (!(t.flops > 0) || !std::isfinite(t.flops))
      throw ValueError("compute", "a finite number of FLOPs above 0", fmt::format("{}", t.flops));
    fit.predictions.push_back({t, fit.law.at(t.flops), {}});
  }
  const std::vector<Interval> intervals =
      bootstrap(options, 2 + targets.size(), [&](Philox& random) -> std::optional<std::vector<double>> {
        const std::vector<int64_t> drawn = draw_with_replacement(static_cast<int64_t>(c.size()), random);
        const std::optional<LossLaw> law = try_loss_law(at_indices(c, drawn), at_indices(loss, drawn));
        if (!law) return std::nullopt;
        std::vector<double> numbers = {law->floor, law->alpha};
        for (const LossTarget& t : targets) numbers.push_back(law->at(t.flops));
        return numbers;
      });
  fit.floor = intervals[0];
  fit.alpha = intervals[1];
  for (size_t i = 0; i < targets.size(); ++i) fit.predictions[i].interval = intervals[2 + i];
  return fit;
}

LossTable read_losses(const std::string& path) {
  const CsvTable table = read_csv(path);
  const int64_t c = table.require({"C"});
  const int64_t loss = table.require({"loss", "bpb", "val_bpb", "val_bpb_digitized"});
  table.expect_only({c, loss}, {"M_opt", "D_opt", "bpb_refit"});
  LossTable result;
  std::map<double, int64_t> seen;
  for (int64_t row = 0; row < static_cast<int64_t>(table.rows.size()); ++row) {
    const std::string& cell = table.rows[static_cast<size_t>(row)][static_cast<size_t>(c)];
    double flops = 0;
    std::string_view label;
    const bool is_number = parse_leading_number(cell, flops, label);
    if (is_number && label.size() > 2 && label.front() == '(' && label.back() == ')') {
      if (!(flops > 0)) throw FileError(path, table.place(row, c), "a number above 0", cell);
      LossTarget target{std::string(label.substr(1, label.size() - 2)), flops, {}};
      if (!table.rows[static_cast<size_t>(row)][static_cast<size_t>(loss)].empty())
        target.measured = table.positive(row, loss);
      result.targets.push_back(target);
      continue;
    }
    const LossPoint p{table.positive(row, c), table.positive(row, loss)};
    const auto [at, is_new] = seen.emplace(p.flops, row);
    if (!is_new)
      throw FileError(
          path, table.place(row, c), "every budget once",
          fmt::format("{:g}, as in line {}", p.flops, table.lines[static_cast<size_t>(at->second)]));
    result.points.push_back(p);
  }
  if (result.points.size() < 4)
    throw FileError(path, "column C", "four budgets at least, for L0, A and alpha",
                    fmt::format("{}", result.points.size()));
  return result;
}

}  // namespace dsllm::sim
