// The rules of a scenario, each written once. A rule is found without allocating (why_impossible), and only the one that is
// broken is put into words (checked).
#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "ref/core/error.hpp"
#include "sim/scenario.hpp"

namespace dsllm::sim {
namespace {

// The layout's in the order in which they are looked at.
enum class Rule {
  none,
  range,
  kv_heads,
  parameters,
  gpu,
  precision,
  tp_heads,
  tp_kv_heads,
  tp_d_ff,
  sp_tp,
  cp_seq_len,
  sp_seq_len,
  only_interleaved,
  pp_layers,
  gpus_divisible,
  dp_gpus,
  batch,
  interleaved_pp,
  interleaved_batches,
  dualpipe_stages,
  dualpipe_even_batches,
  dualpipe_batches,
};

const char* text_of(Rule rule) noexcept {
  switch (rule) {
    case Rule::none:
      return nullptr;
    case Rule::range:
      return "a number is outside the range of its field";
    case Rule::kv_heads:
      return "n_kv_heads must divide n_heads";
    case Rule::parameters:
      return "the model must have at most 2^53 parameters";
    case Rule::gpu:
      return "the GPU must be known";
    case Rule::precision:
      return "precision must be bf16, fp16 or fp8";
    case Rule::tp_heads:
      return "tp must divide n_heads";
    case Rule::tp_kv_heads:
      return "tp must divide n_kv_heads or be a multiple of it";
    case Rule::tp_d_ff:
      return "tp must divide d_ff";
    case Rule::sp_tp:
      return "sp needs tp above 1";
    case Rule::cp_seq_len:
      return "cp must divide seq_len";
    case Rule::sp_seq_len:
      return "sp needs seq_len / cp divisible by tp";
    case Rule::pp_layers:
      return "every chunk needs a layer, the embedding or the head: pp * interleave <= n_layers + 2";
    case Rule::only_interleaved:
      return "interleave above 1 needs the schedule interleaved";
    case Rule::gpus_divisible:
      return "tp * pp * cp must divide gpus";
    case Rule::dp_gpus:
      return "dp * tp * pp * cp must be gpus";
    case Rule::batch:
      return "dp * micro_batch must divide global_batch";
    case Rule::interleaved_pp:
      return "the schedule interleaved needs pp above 1";
    case Rule::interleaved_batches:
      return "the schedule interleaved needs a multiple of pp micro-batches";
    case Rule::dualpipe_stages:
      return "the schedule dualpipe needs an even number of stages";
    case Rule::dualpipe_even_batches:
      return "the schedule dualpipe needs an even number of micro-batches";
    case Rule::dualpipe_batches:
      return "the schedule dualpipe needs at least 2 pp micro-batches";
  }
  return nullptr;
}

// check_ranges without an exception.
template <class Config>
bool in_range(const Config& config) noexcept {
  bool inside = true;
  visit_fields(config, [&inside](const Field& field, const auto& value) {
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(value)>>) {
      const double x = static_cast<double>(value);
      inside = inside && x >= field.minimum && x <= field.maximum;
    }
  });
  return inside;
}

// An estimate from above of the parameters, which no extent in its range can make overflow.
double parameter_bound(const Model& m) noexcept {
  const double d = static_cast<double>(m.d_model), head = static_cast<double>(m.d_head);
  const double heads = static_cast<double>(m.n_heads), kv = static_cast<double>(m.n_kv_heads);
  const double layer = d * head * (2 * heads + 2 * kv) + 3 * d * static_cast<double>(m.d_ff) +
                       head * (heads + 2 * kv) + static_cast<double>(m.d_ff) + 6 * d;
  return static_cast<double>(m.n_layers) * layer +
         d * (2 * static_cast<double>(m.vocab_size) + static_cast<double>(m.seq_len) + 2);
}

Rule broken(const Model& m) noexcept {
  if (!in_range(m)) return Rule::range;
  if (m.n_heads % m.n_kv_heads != 0) return Rule::kv_heads;
  if (parameter_bound(m) > 0x1p53) return Rule::parameters;
  return Rule::none;
}

Rule broken(const Cluster& c) noexcept {
  if (!in_range(c)) return Rule::range;
  for (const Gpu& gpu : all_gpus())
    if (gpu.name == c.gpu) return Rule::none;
  return Rule::gpu;
}

Rule broken(const Recipe& r) noexcept {
  if (!in_range(r)) return Rule::range;
  if (r.precision != "bf16" && r.precision != "fp16" && r.precision != "fp8") return Rule::precision;
  return Rule::none;
}

// Ranges keep every product here below 2^63, but for that of all GPUs, which is compared step by step.
Rule broken(const Model& m, int64_t gpus, const Layout& given) noexcept {
  Layout l = given;
  if (!in_range(l)) return Rule::range;
  if (m.n_heads % l.tp != 0) return Rule::tp_heads;
  if (m.n_kv_heads % l.tp != 0 && l.tp % m.n_kv_heads != 0) return Rule::tp_kv_heads;
  if (m.d_ff % l.tp != 0) return Rule::tp_d_ff;
  if (l.sp && l.tp == 1) return Rule::sp_tp;
  if (m.seq_len % l.cp != 0) return Rule::cp_seq_len;
  if (l.sp && m.seq_len / l.cp % l.tp != 0) return Rule::sp_seq_len;
  if (l.interleave > 1 && l.schedule != ScheduleKind::interleaved) return Rule::only_interleaved;
  if (l.pp * l.interleave > m.n_layers + 2) return Rule::pp_layers;
  const int64_t model_gpus = l.tp * l.pp * l.cp;  // at most 2^48
  if (gpus % model_gpus != 0) return Rule::gpus_divisible;
  if (l.dp == 0) l.dp = gpus / model_gpus;
  if (l.dp != gpus / model_gpus) return Rule::dp_gpus;
  if (l.global_batch % (l.dp * l.micro_batch) != 0) return Rule::batch;
  const int64_t micro_batches = l.micro_batches();
  if (l.schedule == ScheduleKind::interleaved) {
    if (l.pp == 1) return Rule::interleaved_pp;
    if (micro_batches % l.pp != 0) return Rule::interleaved_batches;
  }
  if (l.schedule == ScheduleKind::dualpipe) {
    if (l.pp % 2 != 0) return Rule::dualpipe_stages;
    if (micro_batches % 2 != 0) return Rule::dualpipe_even_batches;
    if (micro_batches < 2 * l.pp) return Rule::dualpipe_batches;
  }
  return Rule::none;
}

Rule broken(const Scenario& s) noexcept {
  Rule rule = broken(s.model);
  if (rule == Rule::none) rule = broken(s.cluster);
  if (rule == Rule::none) rule = broken(s.recipe);
  if (rule == Rule::none) rule = broken(s.model, s.cluster.gpus, s.layout);
  return rule;
}

// Throws for what a model, a cluster or a recipe breaks by itself.
template <class Config>
[[noreturn]] void throw_own(const Config& config, Rule rule);

template <>
void throw_own(const Model& m, Rule rule) {
  check_ranges(m);
  if (rule == Rule::kv_heads)
    throw ConfigError("n_kv_heads", fmt::format("a divisor of n_heads = {}", m.n_heads),
                      fmt::to_string(m.n_kv_heads));
  throw ConfigError("n_layers", "a model of at most 2^53 = 9.0e15 parameters",
                    fmt::format("{} layers, {:.2g} parameters", m.n_layers, parameter_bound(m)));
}

template <>
void throw_own(const Cluster& c, Rule) {
  check_ranges(c);
  std::string names;
  for (const Gpu& gpu : all_gpus()) names += (names.empty() ? "" : ", ") + gpu.name;
  throw ConfigError("gpu", "one of " + names, "'" + c.gpu + "'");
}

template <>
void throw_own(const Recipe& r, Rule) {
  check_ranges(r);
  throw ConfigError("precision", "bf16, fp16 or fp8", "'" + r.precision + "'");
}

// The layout's rules in words. `changed` are the fields, in order of preference, whose nearest working value is named.
struct Complaint {
  const char* field;
  std::string expected;
  std::string got;
  std::vector<int64_t Layout::*> changed;
};

const char* name_of(int64_t Layout::*field) {
  if (field == &Layout::dp) return "dp";
  if (field == &Layout::tp) return "tp";
  if (field == &Layout::pp) return "pp";
  if (field == &Layout::cp) return "cp";
  if (field == &Layout::interleave) return "interleave";
  if (field == &Layout::micro_batch) return "micro_batch";
  return "global_batch";
}

Complaint complaint(const Scenario& s, Rule rule) {
  const Model& m = s.model;
  const Layout& l = s.layout;
  const auto text = [](int64_t n) { return fmt::to_string(n); };
  const int64_t model_gpus = l.tp * l.pp * l.cp;
  const int64_t dp = l.dp > 0 ? l.dp : std::max<int64_t>(1, s.cluster.gpus / model_gpus);
  const int64_t micro_batches = l.global_batch / (dp * l.micro_batch);
  const std::string batches =
      fmt::format("{} / ({} * {}) = {}", l.global_batch, dp, l.micro_batch, micro_batches);
  switch (rule) {
    case Rule::tp_heads:
      return {"tp", fmt::format("a divisor of n_heads = {}", m.n_heads), text(l.tp), {&Layout::tp}};
    case Rule::tp_kv_heads:
      return {"tp",
              fmt::format("a divisor or a multiple of n_kv_heads = {}", m.n_kv_heads),
              text(l.tp),
              {&Layout::tp}};
    case Rule::tp_d_ff:
      return {"tp", fmt::format("a divisor of d_ff = {}", m.d_ff), text(l.tp), {&Layout::tp}};
    case Rule::sp_tp:
      return {"sp", "tp above 1, whose ranks divide the sequence", "tp = 1", {&Layout::tp}};
    case Rule::cp_seq_len:
      return {"cp", fmt::format("a divisor of seq_len = {}", m.seq_len), text(l.cp), {&Layout::cp}};
    case Rule::sp_seq_len:
      return {"sp",
              fmt::format("seq_len / cp = {} divisible by tp", m.seq_len / l.cp),
              fmt::format("tp = {}", l.tp),
              {&Layout::tp, &Layout::cp}};
    case Rule::only_interleaved:
      return {"interleave",
              fmt::format("1 for the schedule {} (only interleaved divides stages into chunks)",
                          to_string(l.schedule)),
              text(l.interleave),
              {&Layout::interleave}};
    case Rule::pp_layers:
      return {"pp",
              fmt::format("pp * interleave = {} * {} of at most n_layers + embedding + head = {}", l.pp,
                          l.interleave, m.n_layers + 2),
              text(l.pp * l.interleave),
              {&Layout::pp, &Layout::interleave}};
    case Rule::gpus_divisible:
      if (model_gpus > s.cluster.gpus)
        return {"gpus",
                fmt::format("at least tp * pp * cp = {} * {} * {} = {}", l.tp, l.pp, l.cp, model_gpus),
                text(s.cluster.gpus),
                {&Layout::pp, &Layout::tp, &Layout::cp}};
      return {"gpus",
              fmt::format("a multiple of tp * pp * cp = {} * {} * {} = {}", l.tp, l.pp, l.cp, model_gpus),
              text(s.cluster.gpus),
              {&Layout::pp, &Layout::tp, &Layout::cp}};
    case Rule::dp_gpus:
      return {"dp",
              fmt::format("gpus / (tp * pp * cp) = {} / ({} * {} * {}) = {}", s.cluster.gpus, l.tp, l.pp,
                          l.cp, s.cluster.gpus / model_gpus),
              text(l.dp),
              {&Layout::dp}};
    case Rule::batch:
      return {
          "global_batch",
          fmt::format("a multiple of dp * micro_batch = {} * {} = {}", dp, l.micro_batch, dp * l.micro_batch),
          text(l.global_batch),
          {&Layout::global_batch}};
    case Rule::interleaved_pp:
      return {"pp", "above 1 for the schedule interleaved", text(l.pp), {&Layout::pp}};
    case Rule::interleaved_batches:
      return {"global_batch",
              fmt::format("micro-batches in a multiple of pp = {} for the schedule interleaved", l.pp),
              batches,
              {&Layout::global_batch}};
    case Rule::dualpipe_stages:
      return {"pp", "an even number of stages for the schedule dualpipe", text(l.pp), {&Layout::pp}};
    case Rule::dualpipe_even_batches:
      return {"global_batch",
              "an even number of micro-batches for the schedule dualpipe",
              batches,
              {&Layout::global_batch}};
    default:
      return {"global_batch",
              fmt::format("at least 2 pp = {} micro-batches for the schedule dualpipe", 2 * l.pp),
              batches,
              {&Layout::global_batch}};
  }
}

// The value of `field` closest to the present one with which the scenario breaks no rule, or no longer `rule` nor one before
// it; the larger of two equally close.
std::optional<int64_t> nearest(const Scenario& s, int64_t Layout::*field, Rule rule, bool all) {
  constexpr int64_t farthest = 1 << 17;
  Layout l = s.layout;
  const int64_t present = s.layout.*field;
  for (int64_t step = 1; step <= farthest; ++step)
    for (const int64_t value : {present + step, present - step}) {
      if (value < 1) continue;
      l.*field = value;
      const Rule left = broken(s.model, s.cluster.gpus, l);
      if (left == Rule::none || (!all && left != Rule::range && left > rule)) return value;
    }
  return std::nullopt;
}

[[noreturn]] void throw_layout(const Scenario& s, Rule rule) {
  check_ranges(s.layout);
  Complaint c = complaint(s, rule);
  // A value that mends everything is better than one that mends this rule.
  for (const bool all : {true, false})
    for (const auto field : c.changed)
      if (const std::optional<int64_t> value = nearest(s, field, rule, all)) {
        const char* name = name_of(field);
        const std::string nearest = std::string_view(name) == c.field
                                        ? fmt::format(" (nearest: {})", *value)
                                        : fmt::format(" (nearest: {} = {})", name, *value);
        throw ConfigError(c.field, c.expected + nearest, c.got);
      }
  throw ConfigError(c.field, c.expected, c.got);
}

}  // namespace

void Model::validate() const {
  if (const Rule rule = broken(*this); rule != Rule::none) throw_own(*this, rule);
}

void Cluster::validate() const {
  if (const Rule rule = broken(*this); rule != Rule::none) throw_own(*this, rule);
}

void Recipe::validate() const {
  if (const Rule rule = broken(*this); rule != Rule::none) throw_own(*this, rule);
}

Scenario checked(Scenario s) {
  s.model.validate();
  s.cluster.validate();
  s.recipe.validate();
  if (const Rule rule = broken(s.model, s.cluster.gpus, s.layout); rule != Rule::none) throw_layout(s, rule);
  if (s.layout.dp == 0) s.layout.dp = s.cluster.gpus / (s.layout.tp * s.layout.pp * s.layout.cp);
  return s;
}

const char* why_impossible(const Scenario& scenario) noexcept {
  return text_of(broken(scenario));
}

}  // namespace dsllm::sim
