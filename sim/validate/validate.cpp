#include "sim/validate/validate.hpp"

#include <algorithm>
#include <cmath>
#include <ostream>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "sim/validate/naive.hpp"

namespace dsllm::sim {

namespace {

Prediction checked_prediction(const Predictor& predict, const Scenario& scenario, const Measurement& row) {
  const Prediction p = predict(scenario);
  if (!(p.step_time_s > 0 && std::isfinite(p.step_time_s) && p.memory_bytes > 0 &&
        std::isfinite(p.memory_bytes)))
    throw ValueError("prediction of row '" + row.name + "'", "a time and a memory above 0",
                     std::to_string(p.step_time_s) + " s and " + std::to_string(p.memory_bytes) + " bytes");
  return p;
}

JudgedRow judge_row(const Measurement& row, const Predictor& predict) {
  JudgedRow judged;
  judged.measured = row;
  judged.choices = choices_of(row);
  std::vector<Scenario> scenarios = std::move(judged.choices.scenarios);
  judged.choices.scenarios.clear();
  judged.scenarios = static_cast<int64_t>(scenarios.size());
  if (scenarios.empty()) return judged;

  // What fits comes before what does not, then the faster, then the smaller.
  const auto better = [](const Prediction& a, const Prediction& b) {
    if (a.fits != b.fits) return a.fits;
    if (a.step_time_s != b.step_time_s) return a.step_time_s < b.step_time_s;
    return a.memory_bytes < b.memory_bytes;
  };
  std::vector<Prediction> all;
  size_t best = 0;
  for (size_t i = 0; i < scenarios.size(); ++i) {
    all.push_back(checked_prediction(predict, scenarios[i], row));
    if (better(all[i], all[best])) best = i;
    judged.fitting += all[i].fits;
  }
  judged.scenario = scenarios[best];
  judged.predicted = all[best];
  std::vector<double> times;
  for (const Prediction& p : all)
    if (p.fits || judged.fitting == 0) times.push_back(p.step_time_s);
  judged.slowest_s = *std::max_element(times.begin(), times.end());
  judged.median_s = median(std::move(times));
  return judged;
}

// Times, memories and calls of the rows that have them.
Score score_of(const std::vector<JudgedRow>& rows, Prediction JudgedRow::*prediction, int64_t tp_limit) {
  Score score;
  std::vector<double> time, measured_time, memory, measured_memory;
  for (size_t i = 0; i < rows.size(); ++i) {
    const JudgedRow& row = rows[i];
    if (row.left_out() || row.scenario.layout.tp > tp_limit) continue;
    const Prediction& p = row.*prediction;
    if (row.measured.measured_step_time_s && p.step_time_s > 0) {
      time.push_back(p.step_time_s);
      measured_time.push_back(*row.measured.measured_step_time_s);
      score.time_rows.push_back(static_cast<int64_t>(i));
    }
    if (row.measured.measured_memory_bytes) {
      memory.push_back(p.memory_bytes);
      measured_memory.push_back(*row.measured.measured_memory_bytes);
      score.memory_rows.push_back(static_cast<int64_t>(i));
    }
    if (const auto happened = row.ran_out()) score.oom.add(!p.fits, *happened);
  }
  score.time = error_statistics(time, measured_time);
  score.memory = error_statistics(memory, measured_memory);
  return score;
}

}  // namespace

std::optional<bool> JudgedRow::ran_out() const {
  if (measured.oom) return measured.oom;
  if (measured.measured_step_time_s) return false;
  return std::nullopt;
}

Judgement judge(const std::vector<Measurement>& rows, const Predictor& predict) {
  Judgement j;
  std::vector<double> ideal, measured;
  for (const Measurement& row : rows) {
    JudgedRow judged = judge_row(row, predict);
    if (judged.left_out()) {
      ++j.left_out;
    } else {
      if (!row.measured_step_time_s && !row.measured_memory_bytes && !row.oom) ++j.without_measurement;
      if (judged.scenario.layout.tp > 8) ++j.beyond_tp8;
      judged.naive.step_time_s = naive_ideal_s(judged.scenario);
      judged.naive.memory_bytes = naive_memory_bytes(judged.scenario);
      judged.naive.fits =
          judged.naive.memory_bytes <= machine_of(judged.scenario.cluster, judged.scenario.recipe).hbm_bytes;
      if (row.measured_step_time_s) {
        ideal.push_back(judged.naive.step_time_s);
        measured.push_back(*row.measured_step_time_s);
      }
    }
    j.rows.push_back(std::move(judged));
  }
  if (!measured.empty()) j.naive_efficiency = fitted_efficiency(ideal, measured);
  for (JudgedRow& row : j.rows)
    row.naive.step_time_s = j.naive_efficiency > 0 ? row.naive.step_time_s / j.naive_efficiency : 0;
  constexpr int64_t no_limit = int64_t{1} << 30;
  j.ours = score_of(j.rows, &JudgedRow::predicted, no_limit);
  j.naive = score_of(j.rows, &JudgedRow::naive, no_limit);
  j.ours_tp8 = score_of(j.rows, &JudgedRow::predicted, 8);
  j.naive_tp8 = score_of(j.rows, &JudgedRow::naive, 8);
  return j;
}

int validate_command(const ValidateOptions& options, std::ostream& out) {
  const Judgement judgement = judge(read_table(options.table), options.predict);
  if (options.json) {
    out << to_json(judgement, options.table).dump(2) << '\n';
  } else {
    print_text(judgement, options.table, out);
  }
  return 0;
}

}  // namespace dsllm::sim
