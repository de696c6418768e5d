// The groups that claims() joins, a file each.
#pragma once

#include <fmt/format.h>

#include "sim/claims.hpp"
#include "sim/model_cost.hpp"

namespace dsllm::sim {

std::vector<Claim> compute_claims(const ClaimModels& models);  // claims_compute.cpp
std::vector<Claim> memory_claims(const ClaimModels& models);   // claims_memory.cpp
std::vector<Claim> scaling_claims(const ClaimModels& models);  // claims_scaling.cpp

// The paper's own convention (M of table 2): attention as if nothing was masked, without the head.
inline constexpr FlopConvention paper_convention{false, false, Recompute::none};

inline std::string billions(double x) {
  return fmt::format("{:.2f}e9", x / 1e9);
}

// C = M D with M by the paper's convention.
inline double training_flops(const Model& model, double tokens) {
  return flops_per_token(model, paper_convention).total() * tokens;
}

}  // namespace dsllm::sim
