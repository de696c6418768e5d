#include "sim/scaling/laws.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ref/core/error.hpp"

namespace dsllm::sim {

namespace {

// The law with this exponent through a published optimum of `parameters` at `flops`, where M = 6 N and D = C / M.
ScalingData through(std::string name, std::string title, double a, double b, double flops, double parameters,
                    std::string source) {
  const double m = 6 * parameters;
  const PowerLaw scale{m * std::pow(flops, -a), a}, tokens{1 / scale.base, 1 - a};
  return {std::move(name), std::move(title), a, b, scale, tokens, std::move(source)};
}

}  // namespace

const std::vector<ScalingData>& scaling_data() {
  constexpr double petaflops_day = 8.64e19;
  static const std::string none = "table 4 gives the exponents only";
  static const std::vector<ScalingData> table = {
      through("kaplan", "OpenAI (OpenWebText2)", 0.73, 0.27, petaflops_day, 1.3e9,
              "N_opt = 1.3e9 at one PF-day, M = 6 N without embeddings (Kaplan et al. 2020, appendix A)"),
      through("chinchilla", "Chinchilla (MassiveText)", 0.49, 0.51, 1.21e20, 1e9,
              "N_opt = 1e9 at 1.21e20 FLOPs, M = 6 N (Hoffmann et al. 2022, table 3)"),
      {"deepseek-early", "Ours (Early Data)", 0.45, 0.55, {}, {}, none},
      {"deepseek-current", "Ours (Current Data)", 0.524, 0.476, optimal_model_scale, optimal_tokens,
       "equation (4), fitted to budgets of 1e17 to 3e20; exponents with four digits"},
      {"deepseek-openwebtext2", "Ours (OpenWebText2)", 0.578, 0.422, {}, {}, none},
  };
  return table;
}

const ScalingData& find_scaling_data(std::string_view name) {
  std::string names;
  for (const ScalingData& data : scaling_data()) {
    if (data.name == name) return data;
    names += (names.empty() ? "" : ", ") + data.name;
  }
  throw ValueError("data", "one of " + names, std::string(name));
}

Allocation allocate(const ScalingData& data, double flops) {
  if (!(flops > 0) || !std::isfinite(flops))
    throw ValueError("compute", "a finite number of FLOPs above 0", fmt::format("{}", flops));
  Allocation allocation{flops, {}, {}};
  if (data.model_scale) allocation.model_scale = data.model_scale->at(flops);
  if (data.tokens) allocation.tokens = data.tokens->at(flops);
  return allocation;
}

}  // namespace dsllm::sim
