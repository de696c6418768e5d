#include "sim/search/layouts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ref/core/error.hpp"

namespace dsllm::sim {

std::vector<int64_t> divisors(int64_t n) {
  std::vector<int64_t> low, high;
  for (int64_t d = 1; d * d <= n; ++d) {
    if (n % d != 0) continue;
    low.push_back(d);
    if (d != n / d) high.push_back(n / d);
  }
  low.insert(low.end(), high.rbegin(), high.rend());
  return low;
}

void add_broken_rules(std::vector<BrokenRule>& to, const std::vector<BrokenRule>& more) {
  for (const BrokenRule& rule : more) {
    const auto known =
        std::find_if(to.begin(), to.end(), [&](const BrokenRule& r) { return r.rule == rule.rule; });
    if (known == to.end())
      to.push_back(rule);
    else
      known->count += rule.count;
  }
}

namespace {

// What is chosen, or else all divisors of n.
std::vector<int64_t> chosen_or_divisors(const std::optional<int64_t>& chosen, int64_t n) {
  if (!chosen) return divisors(n);
  if (*chosen >= 1 && n % *chosen == 0) return {*chosen};
  return {};
}

// Throws unless `chosen` divides n.
void check_divides(const char* field, const std::optional<int64_t>& chosen, int64_t n, const char* what) {
  if (!chosen || (*chosen >= 1 && n % *chosen == 0)) return;
  int64_t nearest = 1;
  for (const int64_t d : divisors(n))
    if (std::abs(d - *chosen) < std::abs(nearest - *chosen)) nearest = d;
  throw ConfigError(field, fmt::format("a divisor of {} {}; the nearest is {}", n, what, nearest),
                    fmt::to_string(*chosen));
}

}  // namespace

LayoutSpace::LayoutSpace(const Scenario& base, const LayoutChoices& choices) : base_(base), cp_(choices.cp) {
  const int64_t gpus = base.cluster.gpus;
  if (gpus < 1) throw ConfigError("gpus", "at least 1", fmt::to_string(gpus));
  if (base.layout.global_batch < 1)
    throw ConfigError("global_batch", "at least 1 sequence", fmt::to_string(base.layout.global_batch));
  for (const auto& [field, value] : {std::pair{"dp", choices.dp}, std::pair{"tp", choices.tp},
                                     std::pair{"pp", choices.pp}, std::pair{"cp", std::optional(choices.cp)}})
    check_divides(field, value, gpus, "GPUs");
  check_divides("micro_batch", choices.micro_batch, base.layout.global_batch,
                "sequences of the global batch");
  check_divides("tp * pp * cp * dp",
                choices.cp * choices.dp.value_or(1) * choices.tp.value_or(1) * choices.pp.value_or(1), gpus,
                "GPUs");
  if (choices.interleave && *choices.interleave < 1)
    throw ConfigError("interleave", "at least 1 chunk a stage", fmt::to_string(*choices.interleave));
  if (choices.zero && !(*choices.zero >= 0 && *choices.zero <= 3))
    throw ConfigError("zero", "a stage of ZeRO from 0 to 3", fmt::to_string(*choices.zero));

  recomputes_ = choices.recompute ? std::vector{*choices.recompute}
                                  : std::vector{Recompute::none, Recompute::selective, Recompute::full};
  for (const int64_t tp : chosen_or_divisors(choices.tp, gpus / cp_))
    for (const int64_t pp : chosen_or_divisors(choices.pp, gpus / cp_ / tp)) {
      const int64_t dp = gpus / cp_ / tp / pp;
      if (!choices.dp || *choices.dp == dp) add(choices, tp, pp, dp);
    }
}

void LayoutSpace::add(const LayoutChoices& choices, int64_t tp, int64_t pp, int64_t dp) {
  ++divisions_;
  // The choice of the rest that asks for the least: if this is impossible, so is all of the division.
  Scenario plain = base_;
  plain.layout = Layout{};
  plain.layout.dp = dp;
  plain.layout.tp = tp;
  plain.layout.pp = pp;
  plain.layout.cp = cp_;
  plain.layout.global_batch = base_.layout.global_batch;
  if (const char* rule = why_impossible(plain)) {
    add_broken_rules(broken_, {{rule, 1, plain.layout}});
    return;
  }

  Division d;
  d.begin = size_;
  d.tp = tp;
  d.pp = pp;
  d.dp = dp;
  const auto pipe = [&](ScheduleKind kind, int64_t v) {
    if (choices.schedule.value_or(kind) == kind && choices.interleave.value_or(v) == v)
      d.pipes.push_back({kind, v});
  };
  if (pp == 1) {
    // One stage is one schedule and one chunk, whatever they are called.
    d.pipes.push_back({choices.schedule.value_or(ScheduleKind::one_f_one_b), choices.interleave.value_or(1)});
  } else {
    for (const ScheduleKind kind : {ScheduleKind::one_f_one_b, ScheduleKind::gpipe, ScheduleKind::zb_h1,
                                    ScheduleKind::zb_h2, ScheduleKind::dualpipe})
      pipe(kind, 1);
    for (int64_t v = 2; v <= (base_.model.n_layers + 2) / pp; ++v) pipe(ScheduleKind::interleaved, v);
    // Interleaving with one chunk is 1F1B; it is there only for who asks for it.
    if (choices.schedule == ScheduleKind::interleaved && choices.interleave == 1)
      pipe(ScheduleKind::interleaved, 1);
  }
  d.micro_batches = chosen_or_divisors(choices.micro_batch, base_.layout.global_batch / dp);
  if (choices.zero)
    d.zeros = {*choices.zero};
  else if (dp * cp_ == 1)
    d.zeros = {0};
  else
    d.zeros = {0, 1, 2, 3};
  if (choices.sp)
    d.sps = {*choices.sp};
  else if (tp == 1)
    d.sps = {false};
  else
    d.sps = {false, true};
  const size_t count =
      d.pipes.size() * d.micro_batches.size() * d.zeros.size() * d.sps.size() * recomputes_.size();
  if (count == 0) return;
  size_ += static_cast<int64_t>(count);
  parts_.push_back(std::move(d));
}

Layout LayoutSpace::at(int64_t index) const {
  const auto after = std::upper_bound(parts_.begin(), parts_.end(), index,
                                      [](int64_t i, const Division& d) { return i < d.begin; });
  const Division& d = *std::prev(after);
  size_t rest = static_cast<size_t>(index - d.begin);
  // The last field turns fastest.
  const auto digit = [&](const auto& list) {
    const size_t at = rest % list.size();
    rest /= list.size();
    return list[at];
  };
  Layout layout;
  layout.dp = d.dp;
  layout.tp = d.tp;
  layout.pp = d.pp;
  layout.cp = cp_;
  layout.global_batch = base_.layout.global_batch;
  layout.recompute = digit(recomputes_);
  layout.sp = digit(d.sps);
  layout.zero = digit(d.zeros);
  layout.micro_batch = digit(d.micro_batches);
  const Pipe pipe = digit(d.pipes);
  layout.schedule = pipe.schedule;
  layout.interleave = pipe.interleave;
  return layout;
}

}  // namespace dsllm::sim
