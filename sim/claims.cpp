#include "sim/claims.hpp"

#include <algorithm>
#include <cmath>

#include "ref/core/json.hpp"
#include "sim/claims_parts.hpp"
#include "sim/scaling/text.hpp"

namespace dsllm::sim {

namespace {

std::string with_unit(const std::string& number, const std::string& unit) {
  if (unit.empty() || unit == "%" || unit == "e9") return number + unit;
  return number + " " + unit;
}

// "20 to 30 %", "1150 to 1250 GB", "more than 1.005".
std::string claimed(const Claim& c) {
  if (std::isinf(c.claimed_high)) return with_unit("more than " + compact(c.claimed_low), c.unit);
  return with_unit(fmt::format("{} to {}", compact(c.claimed_low, 6), compact(c.claimed_high, 6)), c.unit);
}

}  // namespace

std::vector<Claim> claims(const ClaimModels& models) {
  std::vector<Claim> all;
  for (auto* part : {compute_claims, memory_claims, scaling_claims})
    for (Claim& claim : part(models)) all.push_back(std::move(claim));
  return all;
}

void print_claims(const std::vector<Claim>& all, const ClaimsOptions& options, std::ostream& out) {
  const auto right = std::count_if(all.begin(), all.end(), [](const Claim& c) { return c.right(); });
  if (options.json) {
    Json json = {
        {"claims", Json::array()}, {"right", right}, {"wrong", static_cast<int64_t>(all.size()) - right}};
    for (const Claim& c : all)
      json["claims"].push_back({{"name", c.name},
                                {"statement", c.statement},
                                {"verdict", c.right() ? "right" : "wrong"},
                                {"quantity", c.quantity},
                                {"unit", c.unit},
                                {"claimed_low", c.claimed_low},
                                {"claimed_high", std::isinf(c.claimed_high) ? Json() : Json(c.claimed_high)},
                                {"computed", c.computed},
                                {"derivation", c.derivation},
                                {"remark", c.remark}});
    out << json.dump(2) << '\n';
    return;
  }
  out << "Statements about DeepSeek LLM 7B and 67B, recomputed. A figure counts as right within what the "
         "statement allows:\n"
         "its range, or half of the last digit that it prints.\n";
  for (const Claim& c : all) {
    out << fmt::format("\n{}  \"{}\"\n", c.right() ? "RIGHT" : "WRONG", c.statement);
    out << fmt::format("       {}: claimed {}, computed {}\n", c.quantity, claimed(c),
                       with_unit(compact(c.computed), c.unit));
    for (const std::string& line : c.derivation) out << "         " << line << '\n';
    if (!c.remark.empty()) out << "       " << c.remark << '\n';
  }
  out << fmt::format("\n{} statements: {} right, {} wrong\n", all.size(), right,
                     static_cast<int64_t>(all.size()) - right);
}

void claims_command(const ClaimsOptions& options, std::ostream& out) {
  print_claims(claims(), options, out);
}

}  // namespace dsllm::sim
