// Statements that circulate about these models, recomputed. Nothing is typed in but what a statement says: the figure beside it
// comes from the functions of this room, and the verdict from comparing the two.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "sim/scenario.hpp"

namespace dsllm::sim {

struct Claim {
  std::string name;       // "gqa-compute"
  std::string statement;  // as it circulates
  std::string quantity;   // what is compared: "share of the forward FLOPs that GQA saves"
  std::string unit;       // "%", "GB", "FLOPs"
  // What the statement allows: its range, or its number give or take half of the last digit that it prints.
  double claimed_low = 0, claimed_high = 0;
  double computed = 0;
  std::vector<std::string> derivation;  // formulas with the numbers put in
  std::string remark;                   // what is true instead, or where the statement may come from

  bool right() const { return claimed_low <= computed && computed <= claimed_high; }
};

// The models that the statements are about. Another shape gives other figures, and other verdicts.
struct ClaimModels {
  Model small = find_model("deepseek-llm-7b");
  Model large = find_model("deepseek-llm-67b");
  Model llama = find_model("llama-2-70b");
  double tokens = 2e12;  // that both were trained on (paper, table 2)
};

// All of them, in an order to be read in: of compute, scaling, memory, training.
std::vector<Claim> claims(const ClaimModels& models = {});

struct ClaimsOptions {
  bool json = false;
};
// dsllm-sim claims: a verdict, both figures and the derivation of each.
void claims_command(const ClaimsOptions& options, std::ostream& out);
void print_claims(const std::vector<Claim>& claims, const ClaimsOptions& options, std::ostream& out);

}  // namespace dsllm::sim
