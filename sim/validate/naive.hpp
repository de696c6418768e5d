// The model that every other one has to beat: FLOPs, one efficiency for all, and the bubble's formula.
#pragma once

#include <span>

#include "sim/scenario.hpp"

namespace dsllm::sim {

// The step at the GPUs' peak: FLOPs / (GPUs * peak) * (1 + (pp - 1) / (interleave * micro_batches)).
// FLOPs a token: 6 for every parameter of a matrix and 12 n_layers q_dim seq_len for attention (all pairs); with full
// recomputation the layers' count 4/3 times.
double naive_ideal_s(const Scenario& scenario);

// The efficiency e for which ideal / e has the smallest mean absolute relative error on these measurements: the weighted
// median of ideal / measured. mean |ideal_i / (e measured_i) - 1| is convex and piecewise linear in 1 / e, so its
// minimum is at one of the points where a term is zero. Throws ValueError without a measurement, ShapeError for
// different lengths.
double fitted_efficiency(std::span<const double> ideal_s, std::span<const double> measured_s);

// 18 bytes a parameter (12 of them divided by dp from ZeRO 1 on, 16 from 2 on, all from 3) divided by tp pp, and 34 seq_len
// micro_batch d_model bytes a layer divided by tp (2 with full recomputation) for min(pp, micro_batches) micro-batches.
double naive_memory_bytes(const Scenario& scenario);

}  // namespace dsllm::sim
