#include "ref/train/plot_command.hpp"

#include <filesystem>

#include "ref/train/plot.hpp"
#include "ref/train/run_log.hpp"

namespace dsllm {

void plot_runs(const std::vector<std::string>& runs, std::ostream& out) {
  std::vector<PlotSeries> curves;
  for (const std::string& run : runs) {
    PlotSeries curve{(std::filesystem::path(run) / "").parent_path().filename().string(), {}, {}};
    for (const LogRow& row : read_run_log(run + "/log.csv")) {
      if (row.heldout) continue;
      curve.x.push_back(static_cast<double>(row.tokens));
      curve.y.push_back(row.loss);
    }
    curves.push_back(std::move(curve));
  }
  out << plot(curves, {.x_label = "tokens", .y_label = "training loss, nats a token"});
}

}  // namespace dsllm
