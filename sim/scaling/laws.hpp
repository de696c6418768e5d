// The scaling laws of section 3 as the paper prints them, C in FLOPs of training, all of them on its own data:
//
//     (1)  eta_opt = 0.3118 C^-0.1250        B_opt = 0.2920 C^0.3271 tokens a step
//     (2)  M = 72 n_layers d_model^2 + 12 n_layers d_model seq_len, in FLOPs a token (sim/model_cost.hpp); C = M D
//     (4)  M_opt = 0.1715 C^0.5243           D_opt = 5.8316 C^0.4757 tokens
//
// (1) was fitted to runs of 1e17 to 2e19 FLOPs, (4) to budgets of 1e17 to 3e20; further out they are extrapolations.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/scaling/fit.hpp"
#include "sim/scenario.hpp"

namespace dsllm::sim {

inline constexpr PowerLaw optimal_learning_rate{0.3118, -0.1250};
inline constexpr PowerLaw optimal_batch_tokens{0.2920, 0.3271};
inline constexpr PowerLaw optimal_model_scale{0.1715, 0.5243};
inline constexpr PowerLaw optimal_tokens{5.8316, 0.4757};
inline constexpr Interval fitted_learning_runs{1e17, 2e19};  // FLOPs, of (1)
inline constexpr Interval fitted_budgets{1e17, 3e20};        // of (4)

// A row of table 4: M_opt ~ C^a, D_opt ~ C^b. The table gives exponents only; where its authors, or those that it cites,
// published a point on the curve as well, `model_scale` is the whole law.
struct ScalingData {
  std::string name;   // as the command line spells it
  std::string title;  // as table 4 does
  double a = 0, b = 0;
  std::optional<PowerLaw> model_scale, tokens;
  std::string source;  // of the base, or why there is none
};

const std::vector<ScalingData>& scaling_data();               // in the order of table 4
const ScalingData& find_scaling_data(std::string_view name);  // throws ValueError listing the names

// What a budget should be spent on. Nothing for a data set without a base.
struct Allocation {
  double flops = 0;
  std::optional<double> model_scale;  // FLOPs a token
  std::optional<double> tokens;
};
// Throws ValueError unless flops is finite and above 0.
Allocation allocate(const ScalingData& data, double flops);

// A model that exists or could: its M by (2).
struct Shape {
  std::string
      name;  // of a model of sim/models.cpp or a row of the paper's table 3; empty for a shape that is drawn up
  Model model;
  double model_scale = 0;
};

// The seven rows of table 3 and the two models, in order of M.
std::vector<Shape> paper_shapes();
// Of those, the one with the nearest M in proportion.
Shape nearest_paper_shape(double model_scale);
// A shape drawn up for this M: whole layers, heads of 128, SwiGLU of 8/3 d_model rounded up to 256. Of all widths the one
// with the least |ln(M / wanted)| + |ln(aspect / usual)| / 20, where the aspect is d_model / n_layers and the usual one
// the geometric mean of the paper's shapes.
Shape draw_shape(double model_scale, int64_t seq_len = 4096, int64_t vocab_size = 102400);

}  // namespace dsllm::sim
