// dsllm-tune: fits the simulator's constants to published measurements, and prints sim/constants.cpp.
//
// One fit by subplex (NLopt) from several starts with a fixed seed, to step times and to collectives at once: neither
// alone says how a network behaves. The loss of a table is the mean of min(|error|, 1/2), which a few runs that went
// wrong cannot drive; tables are weighted by the root of their rows, so that no source rules alone. A constant that no
// table speaks of is kept near its default by a small penalty.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <nlopt.hpp>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/core/progress.hpp"
#include "ref/core/random.hpp"
#include "ref/core/tensor.hpp"
#include "sim/estimate.hpp"
#include "sim/validate/choices.hpp"
#include "tests/tune/collectives.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

// One constant, by its path: "hopper.gemm_fraction".
struct Parameter {
  std::string name;
  double minimum, maximum;
  std::function<double&(Constants&)> in;
};

// All constants, in the order of their lists.
std::vector<Parameter> parameters() {
  std::vector<Parameter> all;
  const auto add = [&](const std::string& prefix, auto member) {
    Constants c;
    size_t n = 0;
    visit_fields(member(c), [&](const Field& field, double&) {
      const size_t i = n++;
      all.push_back(
          {prefix + field.name, field.minimum, field.maximum, [member, i](Constants& constants) -> double& {
             double* found = nullptr;
             size_t k = 0;
             visit_fields(member(constants), [&](const Field&, double& value) {
               if (k++ == i) found = &value;
             });
             return *found;
           }});
    });
  };
  add("ampere.", [](Constants& c) -> ChipConstants& { return c.ampere; });
  add("hopper.", [](Constants& c) -> ChipConstants& { return c.hopper; });
  add("", [](Constants& c) -> Constants& { return c; });
  return all;
}

// Those that are fitted: a send between stages was measured by itself (constants.hpp).
std::vector<Parameter> fitted_parameters() {
  std::vector<Parameter> all = parameters();
  std::erase_if(all,
                [](const Parameter& p) { return p.name == "send_fraction" || p.name == "send_latency_s"; });
  return all;
}

// 0.02% for a constant that is twice its default, or none of it.
double far_from_defaults(const std::vector<Parameter>& free, const Constants& constants) {
  Constants now = constants, defaults;
  double sum = 0;
  for (const Parameter& p : free) {
    const double change = p.in(now) / p.in(defaults)-1;
    sum += 2e-4 * change * change;
  }
  return sum;
}

using Loss = std::function<double(const Constants&)>;

Constants fit(const std::vector<Parameter>& free, const Constants& start, const Loss& loss, int starts,
              int evaluations) {
  struct Problem {
    const std::vector<Parameter>& free;
    Constants constants;
    const Loss& loss;
    double operator()(const std::vector<double>& x) {
      for (size_t i = 0; i < free.size(); ++i) free[i].in(constants) = x[i];
      return loss(constants);
    }
  } problem{free, start, loss};

  std::vector<double> lowest, highest, best;
  for (const Parameter& p : free) {
    lowest.push_back(p.minimum);
    highest.push_back(p.maximum);
    best.push_back(std::clamp(p.in(problem.constants), p.minimum, p.maximum));
  }
  double best_loss = problem(best);
  fmt::print(stderr, "{} constants, loss {:.2f}% before\n", free.size(), 100 * best_loss);
  Progress progress("tune", "starts", starts);
  for (int round = 0; round < starts; ++round) {
    std::vector<double> x = best, step;
    Tensor<double, 1> drawn(static_cast<int64_t>(x.size()));
    fill_uniform<double>(drawn, -0.7, 0.7, 1, static_cast<uint64_t>(round));
    for (size_t i = 0; i < x.size(); ++i) {
      // Later starts begin away from the best so far, each constant by up to a factor of 2.
      if (round > 0)
        x[i] = std::clamp(x[i] * std::exp(drawn(static_cast<int64_t>(i))), lowest[i], highest[i]);
      step.push_back(
          std::max(1e-9, std::min(0.3 * (highest[i] - lowest[i]), 0.25 * x[i] + 1e-4 * highest[i])));
    }
    nlopt::opt optimizer(nlopt::LN_SBPLX, static_cast<unsigned>(x.size()));
    optimizer.set_min_objective([](const std::vector<double>& y, std::vector<double>&,
                                   void* data) { return (*static_cast<Problem*>(data))(y); },
                                &problem);
    optimizer.set_lower_bounds(lowest);
    optimizer.set_upper_bounds(highest);
    optimizer.set_initial_step(step);
    optimizer.set_maxeval(evaluations);
    double value = 0;
    optimizer.optimize(x, value);
    if (value < best_loss) {
      best_loss = value;
      best = x;
    }
    progress.update(round + 1, fmt::format("loss {:.2f}%", 100 * best_loss));
  }
  progress.finish();
  for (size_t i = 0; i < best.size(); ++i)
    if (best[i] == lowest[i] || best[i] == highest[i])
      fmt::print(stderr, "{} = {:.4g} stands at the end of its range\n", free[i].name, best[i]);
  problem(best);
  return problem.constants;
}

struct Row {
  std::string table;
  double measured_s = 0;
  Machine machine;
  std::vector<Scenario> choices;
};

std::vector<Row> read_rows(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".csv") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  if (files.empty()) throw FileError(folder, "", "tables (*.csv)", "none");
  std::vector<Row> rows;
  for (const auto& file : files)
    for (const Measurement& m : read_table(file.string())) {
      if (!m.measured_step_time_s || m.tp.value_or(1) > 8) continue;
      Row row{file.stem().string(), *m.measured_step_time_s, {}, choices_of(m).scenarios};
      if (row.choices.empty()) continue;
      row.machine = machine_of(row.choices[0].cluster, row.choices[0].recipe);
      // What does not fit was not run, unless nothing fits.
      std::vector<Scenario> fitting;
      for (const Scenario& s : row.choices)
        if (worst_rank_memory(s, row.machine).total() <= row.machine.hbm_bytes) fitting.push_back(s);
      if (!fitting.empty()) row.choices = std::move(fitting);
      rows.push_back(std::move(row));
    }
  return rows;
}

// The fastest of what a row leaves open, as sim/validate counts it; memory does not depend on these constants.
std::vector<double> errors(const std::vector<Row>& rows, const Constants& constants) {
  std::vector<double> e(rows.size());
  parallel_pieces(static_cast<int64_t>(rows.size()), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Row& row = rows[static_cast<size_t>(i)];
      Estimator estimator(row.machine, constants);
      double best_s = 1e300;
      for (const Scenario& s : row.choices) best_s = std::min(best_s, estimator.step_time(s).total());
      e[static_cast<size_t>(i)] = best_s / row.measured_s - 1;
    }
  });
  return e;
}

void print_constants(const Constants& fitted) {
  fmt::print(
      "// Written by ./run tune.\n#include \"sim/constants.hpp\"\n\nnamespace dsllm::sim {{\n\nconst "
      "Constants& constants() {{\n"
      "  static const Constants fitted = [] {{\n    Constants c;\n");
  Constants c = fitted;
  for (const Parameter& p : parameters()) fmt::print("    c.{} = {:.4g};\n", p.name, p.in(c));
  fmt::print("    return c;\n  }}();\n  return fitted;\n}}\n\n}}  // namespace dsllm::sim\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Fits the simulator's constants to measurements and prints sim/constants.cpp");
  std::string tables, facts, data;
  std::vector<std::string> hold_out;
  int starts = 24, evaluations = 4000;
  app.add_option("--tables", tables, "folder of step times, as tests/sim/tables/convert.py writes it")
      ->required();
  app.add_option("--facts", facts, "folder with hf_ultrascale_comm_bandwidth.csv")->required();
  app.add_option("--data", data, "folder with vtrain_nccl_allreduce_intranode.csv")->required();
  app.add_option("--hold-out", hold_out, "tables (vtrain, ...) that are not fitted to, only judged");
  app.add_option("--starts", starts, "of each fit")->capture_default_str()->check(CLI::Range(0, 1000));
  app.add_option("--evaluations", evaluations, "of each start")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.footer("example: dsllm-tune --tables build/tables --facts facts --data data > sim/constants.cpp");
  CLI11_PARSE(app, argc, argv);
  try {
    const auto collectives = read_collectives(facts, data);
    const auto rows = read_rows(tables);
    std::map<std::string, double> count;
    for (const Row& row : rows) ++count[row.table];

    std::map<std::string, double> collective_count;
    for (const auto& m : collectives) ++collective_count[m.name];

    const auto held = [&](const std::string& table) {
      return std::find(hold_out.begin(), hold_out.end(), table) != hold_out.end();
    };
    for (const std::string& name : hold_out)
      if (!count.count(name)) throw ValueError("--hold-out", "the name of a table in " + tables, name);
    const std::vector<Parameter> free = fitted_parameters();
    const Loss loss = [&](const Constants& c) {
      const auto e = errors(rows, c);
      double sum = 0, weight = 0;
      for (size_t i = 0; i < rows.size(); ++i)
        if (!held(rows[i].table)) sum += std::min(0.5, std::abs(e[i])) / std::sqrt(count[rows[i].table]);
      for (const auto& [name, n] : count)
        if (!held(name)) weight += std::sqrt(n);
      for (const auto& m : collectives)
        sum +=
            std::min(0.5, std::abs(predicted_s(m, c) / m.seconds - 1)) / std::sqrt(collective_count[m.name]);
      for (const auto& [name, n] : collective_count) weight += std::sqrt(n);
      return sum / weight + far_from_defaults(free, c);
    };

    // From the defaults of constants.hpp, so that the result does not depend on earlier fits; --starts 0 judges the present.
    Constants c = starts > 0 ? Constants{} : constants();
    if (starts > 0) c = fit(free, c, loss, starts, evaluations);
    for (const auto& [name, n] : collective_count) {
      double sum = 0, bias = 0;
      for (const auto& m : collectives)
        if (m.name == name) {
          const double e = predicted_s(m, c) / m.seconds - 1;
          sum += std::abs(e);
          bias += e;
        }
      fmt::print(stderr, "{:<28} {:>4.0f} rows  mean {:5.1f}%  bias {:+5.1f}%\n", name, n, 100 * sum / n,
                 100 * bias / n);
    }
    const auto e = errors(rows, c);
    for (const auto& [name, n] : count) {
      std::vector<double> absolute;
      double sum = 0, bias = 0;
      for (size_t i = 0; i < rows.size(); ++i)
        if (rows[i].table == name) {
          absolute.push_back(std::abs(e[i]));
          sum += absolute.back();
          bias += e[i];
        }
      std::sort(absolute.begin(), absolute.end());
      fmt::print(stderr,
                 "{:<28} {:>4.0f} rows  mean {:5.1f}%  median {:5.1f}%  largest {:5.1f}%  bias {:+5.1f}%{}\n",
                 name, n, 100 * sum / n, 100 * absolute[absolute.size() / 2], 100 * absolute.back(),
                 100 * bias / n, held(name) ? "  held out" : "");
    }
    double sum = 0;
    for (const double x : e) sum += std::abs(x);
    fmt::print(stderr, "{:<28} {:>4} rows  mean {:5.1f}%\n", "all, tp <= 8", e.size(),
               100 * sum / static_cast<double>(e.size()));
    print_constants(c);
  } catch (const std::exception& error) {
    std::cerr << "dsllm-tune: " << error.what() << "\n";
    return 1;
  }
}
