#include "sim/scaling/commands.hpp"

#include <cmath>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "sim/model_cost.hpp"
#include "sim/scaling/commands_shared.hpp"
#include "sim/scaling/laws.hpp"
#include "sim/scaling/predict.hpp"
#include "sim/scaling/text.hpp"

namespace dsllm::sim {

namespace {

// The paper trains both of its models on 2e12 tokens (table 2).
constexpr double paper_tokens = 2e12;

Json json_of(const Shape& shape) {
  Json json = {{"name", shape.name.empty() ? Json() : Json(shape.name)}};
  visit_fields(shape.model, [&](const Field& field, const auto& value) { json[field.name] = value; });
  json["model_scale_flops_per_token"] = shape.model_scale;
  json["parameters"] = parameters(shape.model).total();
  return json;
}

std::string text_of(const Shape& shape, double wanted) {
  const Model& m = shape.model;
  return fmt::format(
      "{} layers of {}, {} heads, d_ff {}: M = 72 n d^2 + 12 n d s = {} ({:+.1f}%), {:.3g}B parameters",
      m.n_layers, m.d_model, m.n_heads, m.d_ff, compact(shape.model_scale),
      100 * (shape.model_scale / wanted - 1), static_cast<double>(parameters(m).total()) / 1e9);
}

// "  beyond the fitted runs by a factor of 50", or nothing.
std::string extrapolation(const Interval& fitted, double c) {
  if (fitted.contains(c)) return "";
  return fmt::format("  an extrapolation: {} the fitted runs by a factor of {}\n",
                     c < fitted.low ? "below" : "beyond",
                     compact(c < fitted.low ? fitted.low / c : c / fitted.high, 3));
}

void print_law(const ScalingLawOptions& options, const ScalingData& data, const Allocation& allocation,
               std::ostream& out) {
  const double c = options.compute, rate = optimal_learning_rate.at(c), batch = optimal_batch_tokens.at(c);
  const double sequences = batch / static_cast<double>(options.seq_len);
  out << fmt::format("The scaling laws of section 3 (arXiv 2401.02954) at C = {} FLOPs of training\n\n",
                     compact(c));
  out << fmt::format("Equation (1), fitted to runs of {} to {} FLOPs\n", compact(fitted_learning_runs.low),
                     compact(fitted_learning_runs.high));
  out << extrapolation(fitted_learning_runs, c);
  out << fmt::format("  learning rate  eta = {} = {:.2e}\n", with_numbers(optimal_learning_rate, c), rate);
  out << fmt::format("  batch          B   = {} = {} tokens = {} sequences of {}\n\n",
                     with_numbers(optimal_batch_tokens, c), compact(batch),
                     sequences < 1e7 ? fmt::format("{:.0f}", sequences) : compact(sequences),
                     options.seq_len);

  out << fmt::format("Allocation for {}: M_opt ~ C^{:g}, D_opt ~ C^{:g} (table 4)\n", data.title, data.a,
                     data.b);
  if (allocation.model_scale && allocation.tokens) {
    const double m = *allocation.model_scale, d = *allocation.tokens;
    out << fmt::format("  base: {}\n", data.source);
    if (data.name == "deepseek-current") out << extrapolation(fitted_budgets, c);
    out << fmt::format("  model scale    M = {} = {} FLOPs a token, forward and backward\n",
                       with_numbers(*data.model_scale, c), compact(m));
    out << fmt::format("  tokens         D = {} = {}\n", with_numbers(*data.tokens, c), compact(d));
    out << fmt::format("  check          M D = {} = {:.4f} C\n", compact(m * d), m * d / c);
    out << fmt::format("  steps          D / B = {} / {} = {:.0f}\n", compact(d), compact(batch), d / batch);
    const Shape near = nearest_paper_shape(m);
    out << fmt::format("  nearest in the paper ({}): {}\n", near.name, text_of(near, m));
    out << fmt::format("  drawn up for this M: {}\n", text_of(draw_shape(m, options.seq_len), m));
  } else {
    out << fmt::format("  no M and no D: {}\n", data.source);
  }
  out << fmt::format("  ten times the budget: M x 10^{:g} = {:.3g}, D x 10^{:g} = {:.3g}\n\n", data.a,
                     std::pow(10, data.a), data.b, std::pow(10, data.b));

  out << "Table 4 at this budget\n";
  out << fmt::format("  {:<23} {:<24} {:>6} {:>6} {:>10} {:>10}\n", "--data", "data", "a", "b", "M", "D");
  for (const ScalingData& row : scaling_data()) {
    const Allocation other = allocate(row, c);
    out << fmt::format("  {:<23} {:<24} {:>6g} {:>6g} {:>10} {:>10}\n", row.name, row.title, row.a, row.b,
                       other.model_scale ? compact(*other.model_scale) : "-",
                       other.tokens ? compact(*other.tokens) : "-");
  }
}

Json json_of_law(const ScalingLawOptions& options, const ScalingData& data, const Allocation& allocation) {
  const double c = options.compute, batch = optimal_batch_tokens.at(c);
  const auto or_null = [](const std::optional<double>& x) { return x ? Json(*x) : Json(); };
  Json json = {{"compute_flops", c},
               {"learning_rate", optimal_learning_rate.at(c)},
               {"batch_tokens", batch},
               {"batch_sequences", batch / static_cast<double>(options.seq_len)},
               {"data", data.name},
               {"a", data.a},
               {"b", data.b},
               {"model_scale_flops_per_token", or_null(allocation.model_scale)},
               {"tokens", or_null(allocation.tokens)},
               {"source", data.source}};
  if (allocation.model_scale) {
    json["nearest_paper_shape"] = json_of(nearest_paper_shape(*allocation.model_scale));
    json["drawn_up_shape"] = json_of(draw_shape(*allocation.model_scale, options.seq_len));
  }
  return json;
}

void csv_of_law(const ScalingLawOptions& options, std::ostream& out) {
  out << "data,a,b,compute_flops,learning_rate,batch_tokens,model_scale_flops_per_token,tokens\n";
  const auto or_empty = [](const std::optional<double>& x) { return x ? fmt::format("{}", *x) : ""; };
  const double c = options.compute;
  const ScalingData& row = find_scaling_data(options.data);
  const Allocation allocation = allocate(row, c);
  out << fmt::format("{},{},{},{},{},{},{},{}\n", row.name, row.a, row.b, c, optimal_learning_rate.at(c),
                     optimal_batch_tokens.at(c), or_empty(allocation.model_scale),
                     or_empty(allocation.tokens));
}

}  // namespace

void scaling_law_command(const ScalingLawOptions& options, std::ostream& out) {
  check_format(options.format);
  if (options.seq_len < 1 || options.seq_len > int64_t{1} << 28)
    throw ValueError("seq_len", "from 1 to 268435456", fmt::format("{}", options.seq_len));
  const ScalingData& data = find_scaling_data(options.data);
  const Allocation allocation = allocate(data, options.compute);
  if (options.format.json)
    out << json_of_law(options, data, allocation).dump(2) << '\n';
  else if (options.format.csv)
    csv_of_law(options, out);
  else
    print_law(options, data, allocation, out);
}

void scaling_predict_command(const ScalingPredictOptions& options, std::ostream& out) {
  check_format(options.format);
  LossTable table = read_losses(options.input);
  for (double c : options.budgets) table.targets.push_back({"", c, {}});
  if (table.targets.empty())
    for (const char* name : {"deepseek-llm-7b", "deepseek-llm-67b"})
      table.targets.push_back(
          {name,
           flops_per_token(find_model(name), {false, false, Recompute::none}).total() * paper_tokens,
           {}});
  const LossFit fit = fit_and_predict(table.points, table.targets, options.bootstrap, options.input);
  const LossLaw& law = fit.law;
  const double confidence = 100 * options.bootstrap.confidence;

  if (options.format.json) {
    Json json = {{"floor", law.floor},
                 {"floor_interval", {fit.floor.low, fit.floor.high}},
                 {"scale", fit.scale_at_1()},
                 {"alpha", law.alpha},
                 {"alpha_interval", {fit.alpha.low, fit.alpha.high}},
                 {"confidence", options.bootstrap.confidence},
                 {"largest_residual", fit.largest_residual},
                 {"points", Json::array()},
                 {"predictions", Json::array()}};
    for (const LossPoint& p : table.points)
      json["points"].push_back({{"compute_flops", p.flops}, {"loss", p.loss}, {"fitted", law.at(p.flops)}});
    for (const LossPrediction& p : fit.predictions) {
      Json one = {{"label", p.target.label},
                  {"compute_flops", p.target.flops},
                  {"loss", p.loss},
                  {"interval", {p.interval.low, p.interval.high}}};
      one["measured"] = p.target.measured ? Json(*p.target.measured) : Json();
      one["relative_error"] = p.error() ? Json(*p.error()) : Json();
      json["predictions"].push_back(one);
    }
    out << json.dump(2) << '\n';
    return;
  }
  if (options.format.csv) {
    out << "kind,compute_flops,measured,fitted,low,high\n";
    for (const LossPoint& p : table.points)
      out << fmt::format("fitted,{},{},{},,\n", p.flops, p.loss, law.at(p.flops));
    for (const LossPrediction& p : fit.predictions)
      out << fmt::format("predicted,{},{},{},{},{}\n", p.target.flops,
                         p.target.measured ? fmt::format("{}", *p.target.measured) : "", p.loss,
                         p.interval.low, p.interval.high);
    return;
  }

  out << fmt::format(
      "Loss at the optimum, L(C) = L0 + A C^-alpha, least squares through {} budgets of {}\n\n",
      table.points.size(), options.input);
  out << fmt::format("  L0    = {}   ({:g}% intervals: {} resamples, seed {})\n",
                     with_interval(law.floor, fit.floor), confidence, options.bootstrap.resamples,
                     options.bootstrap.seed);
  out << fmt::format("  alpha = {}\n", with_interval(law.alpha, fit.alpha));
  out << fmt::format("  A     = {}, C in FLOPs\n\n", compact(fit.scale_at_1()));
  out << fmt::format("  {:>10} {:>10} {:>10} {:>8}\n", "C", "measured", "fitted", "error");
  for (const LossPoint& p : table.points)
    out << fmt::format("  {:>10} {:>10.4f} {:>10.4f} {:>+7.2f}%\n", compact(p.flops), p.loss, law.at(p.flops),
                       100 * (law.at(p.flops) / p.loss - 1));
  out << "\nPredicted\n";
  for (const LossPrediction& p : fit.predictions) {
    out << fmt::format("  {}L({}) = {:.4f} + {} * ({})^-{:.4f} = {}",
                       p.target.label.empty() ? "" : p.target.label + ": ", compact(p.target.flops),
                       law.floor, compact(fit.scale_at_1()), compact(p.target.flops), law.alpha,
                       with_interval(p.loss, p.interval));
    if (p.error()) out << fmt::format("; measured {:g}: {:+.1f}%", *p.target.measured, 100 * *p.error());
    out << '\n';
  }
  out << "  Intervals hold the scatter of the budgets about the curve; whether the curve goes on they cannot "
         "tell.\n";
}

}  // namespace dsllm::sim
