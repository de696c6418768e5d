// Settings of components, as plain structs: what the reference and the kernels are both told.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace dsllm {

// The target of a position that has no loss: of a prompt, of padding.
inline constexpr int32_t ignored_target = -1;

// Rates of one AdamW step (paper, section 2.3); see ref/train/adamw.hpp for the update.
struct AdamwSettings {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;

  // Throws ValueError, naming the operation, unless the betas are in [0, 1), eps > 0, the decay >= 0, and all finite.
  void validate(const char* operation) const;
};

// From this fraction of the run on, the rate is factor times the maximum.
struct LrStage {
  double fraction = 0, factor = 1;
  bool operator==(const LrStage&) const = default;
};

// The last step before a stage that begins at `fraction` of total_steps: round(fraction * total_steps).
inline int64_t steps_before(double fraction, int64_t total_steps) {
  return std::llround(fraction * static_cast<double>(total_steps));
}

inline std::vector<LrStage> paper_stages() {
  return {{0.8, std::sqrt(0.1)}, {0.9, 0.1}};
}

// The learning rate over a run (paper, section 2.3); see ref/train/lr_schedule.hpp for its formulas.
struct LrSchedule {
  enum class Shape { multi_step, cosine };
  Shape shape = Shape::multi_step;
  double max_lr = 3e-4;
  int64_t warmup_steps = 2000;
  std::vector<LrStage> stages = paper_stages();  // multi-step; none: constant after the warm-up
  double min_ratio = 0.1;                        // cosine: r

  // Throws ConfigError, naming the field, its value and the rule, unless total_steps >= 1; max_lr is finite and >= 0; the
  // fractions rise strictly inside (0, 1) and fall on different steps; factors are finite and >= 0; min_ratio is in
  // [0, 1]; and the warm-up ends before the first drop (multi-step) or before the last step (cosine).
  void validate(int64_t total_steps) const;
};

// Direct preference optimization (paper, section 4); see ref/align/dpo.hpp for the losses.
struct DpoSettings {
  enum class Loss { sigmoid, ipo, hinge };
  Loss loss = Loss::sigmoid;
  double beta = 0.1;
  double label_smoothing = 0;  // sigmoid only, in [0, 0.5)
  bool reference_free = false;

  // Throws ValueError unless there is a pair, beta > 0 and finite, label_smoothing in [0, 0.5) and 0 but for sigmoid.
  void validate(int64_t pairs) const;
};

}  // namespace dsllm
