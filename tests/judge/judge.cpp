#include "tests/judge/judge.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "ref/core/error.hpp"

namespace dsllm::tests {
namespace {

double eps_of(DType dtype) {
  if (dtype == DType::f64) return std::numeric_limits<double>::epsilon();
  if (dtype == DType::f32) return std::numeric_limits<float>::epsilon();
  if (dtype == DType::bf16) return 0x1p-7;
  return 0;
}

// Below this, results may round to a subnormal or to zero.
double underflow_of(DType dtype) {
  return dtype == DType::f64 ? std::numeric_limits<double>::min() : double{std::numeric_limits<float>::min()};
}

bool is_checked(const Argument& a) {
  return a.role == Role::output || a.role == Role::update;
}

void copy_values(Call& from, Call& to) {
  for (const Argument& a : to.arguments())
    if (a.role == Role::input || a.role == Role::update)
      to.array(a.name).set_all(from.array(a.name).get_all());
}

// What is wrong with the memory after a run, or nothing.
std::string trespass(Call& before, Call& after) {
  for (const Argument& a : after.arguments()) {
    if (!after.array(a.name).guards_intact()) return fmt::format("{}: wrote outside of it", a.name);
    if (a.role == Role::input && !after.is_overwritten(a.name) &&
        !after.array(a.name).same_bytes(before.array(a.name)))
      return fmt::format("{}: an input was changed", a.name);
    if (a.role == Role::output)
      for (int64_t i = 0; i < after.array(a.name).size(); ++i)
        if (!after.array(a.name).was_written(i)) return fmt::format("{}[{}]: was not written", a.name, i);
  }
  return {};
}

// The allowed error of each element of each output.
Bounds allowed(const Pair& pair, const Candidate& candidate, Style style, Call& inputs, Call& before,
               Call& truth) {
  Bounds bounds;
  const bool exact = style == Style::integers;
  const double eps = eps_of(candidate.arithmetic);
  if (exact)
    for (const Argument& a : truth.arguments())
      if (is_checked(a)) bounds[a.name].assign(static_cast<size_t>(truth.array(a.name).size()), 0.0);
  if (!exact) bounds = pair.bounds(before, truth, eps);
  for (const Candidate& plain : pair.plain) {
    if (exact || plain.types() != candidate.types()) continue;
    Call call = inputs;
    plain.run(call);
    for (auto& [name, bound] : bounds) {
      // As a multiple of the floor, which follows the size of each element: a large error of a large one excuses nothing
      // of a small one.
      double worst = 0;
      for (size_t i = 0; i < bound.size(); ++i) {
        const int64_t at = static_cast<int64_t>(i);
        const double error = std::abs(call.array(name).get(at) - truth.array(name).get(at));
        if (bound[i] > 0) worst = std::max(worst, error / bound[i]);
      }
      for (double& x : bound) x += 2 * worst * x;
    }
  }
  for (auto& [name, bound] : bounds) {
    const DType dtype = inputs.array(name).dtype();
    // A result of wider arithmetic is rounded once more, when it is stored; one that must be exact, to the nearest.
    const double store = eps_of(dtype) > eps ? eps_of(dtype) / 2 : 0;
    GuardedArray nearest(dtype, {1});
    for (size_t i = 0; i < bound.size(); ++i) {
      const double t = truth.array(name).get(static_cast<int64_t>(i));
      nearest.set(0, t);
      bound[i] = bound[i] == 0 ? std::abs(nearest.get(0) - t) : bound[i] + store * (std::abs(t) + bound[i]);
      if (!exact) bound[i] += underflow_of(dtype);
    }
  }
  return bounds;
}

// A shape that somebody gives by hand may ask for too much: a width of 0, a scale of 10^300.
void require_in_range(Call& truth) {
  for (const Argument& a : truth.arguments()) {
    if (a.role == Role::scratch || a.kind == Kind::index) continue;
    for (int64_t i = 0; i < truth.array(a.name).size(); ++i)
      if (const double x = truth.array(a.name).get(i); !(std::abs(x) <= std::numeric_limits<float>::max()))
        throw ValueError("the truth", "numbers in the range of a float",
                         fmt::format("{} as {}[{}]", x, a.name, i));
  }
}

// Where the bits of two results differ first, or nothing.
std::string difference(const std::string& name, GuardedArray& first, GuardedArray& second) {
  for (int64_t i = 0; i < first.size(); ++i)
    if (!first.same_element(second, i))
      return fmt::format("{}[{}]: {:.9g}, but {:.9g} the first time, from the same inputs", name, i,
                         second.get(i), first.get(i));
  return {};
}

// What a candidate is given in one case, and what is expected of it.
struct Expected {
  Call inputs, truth;
  Bounds bounds;

  Expected(const Pair& pair, const Candidate& candidate, const Numbers& numbers, Style style, uint64_t seed)
      : inputs(make_call(pair, numbers, style, candidate.types(), seed)),
        truth(make_call(pair, numbers, style, all_double, seed)) {
    // The truth begins with what the candidate is given, after rounding to its types.
    copy_values(inputs, truth);
    Call before = truth;
    pair.truth(truth);
    if (const std::string reason = trespass(before, truth); !reason.empty())
      throw ValueError("the truth", "nothing but its outputs written", reason);
    require_in_range(truth);
    bounds = allowed(pair, candidate, style, inputs, before, truth);
  }
};

// Memory first: no number is looked at before each is known to be written.
void compare_all(Expected& expected, Call& after, Verdict& verdict) {
  verdict.reason = trespass(expected.inputs, after);
  verdict.pass = verdict.reason.empty();
  for (const Argument& a : after.arguments())
    if (verdict.pass && is_checked(a))
      compare(a.name, after.array(a.name).get_all(), expected.truth.array(a.name).get_all(),
              expected.bounds.at(a.name), verdict);
}

void run_and_compare(const Candidate& candidate, Expected& expected,
                     const std::pair<std::string, std::string>* alias, Verdict& verdict) {
  Call first = expected.inputs, second = expected.inputs;
  for (Call* call : {&first, &second}) {
    const auto fail = [&](const std::string& reason) {
      verdict.pass = false;
      verdict.reason = (alias ? fmt::format("{} in place of {}: ", alias->first, alias->second) : "") +
                       (call == &second ? "second run: " : "") + reason;
    };
    if (alias != nullptr) call->alias(alias->first, alias->second);
    try {
      candidate.run(*call);
    } catch (const std::exception& e) {
      return fail(fmt::format("threw: {}", e.what()));
    }
    if (call == &first || !candidate.traits.deterministic) {
      compare_all(expected, *call, verdict);
      if (!verdict.pass) return fail(verdict.reason);
      continue;
    }
    if (const std::string reason = trespass(expected.inputs, second); !reason.empty()) return fail(reason);
    for (const Argument& a : second.arguments())
      if (is_checked(a)) {
        const std::string reason = difference(a.name, first.array(a.name), second.array(a.name));
        if (!reason.empty()) return fail(reason);
      }
  }
}

}  // namespace

std::string describe(const Numbers& numbers, Style style) {
  std::string text;
  for (const auto& [name, value] : numbers) text += fmt::format("{} = {}, ", name, value);
  return text + (style == Style::normal ? "normal" : style == Style::wide ? "wide" : "integers");
}

Call make_call(const Pair& pair, const Numbers& numbers, Style style, const Types& types, uint64_t seed) {
  uint64_t hash = 1469598103934665603u;  // FNV-1a of everything that names the case
  for (const char c : pair.name + describe(numbers, style))
    hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  Draw draw(hash + seed * 0xd1342543de82ef95u, style);
  return Call(numbers, pair.arguments(numbers, draw), types);
}

Verdict judge(const Pair& pair, const Candidate& candidate, const Numbers& numbers, Style style,
              uint64_t seed) {
  Expected expected(pair, candidate, numbers, style, seed);
  Verdict verdict;
  run_and_compare(candidate, expected, nullptr, verdict);
  for (const auto& alias : pair.in_place)
    if (verdict.pass) run_and_compare(candidate, expected, &alias, verdict);
  return verdict;
}

Verdict judge_result(const Pair& pair, const Candidate& candidate, const Numbers& numbers, Style style,
                     uint64_t seed, Call& after) {
  Expected expected(pair, candidate, numbers, style, seed);
  Verdict verdict;
  compare_all(expected, after, verdict);
  return verdict;
}

Verdict judge(const Pair& pair, const Candidate& candidate, uint64_t seed,
              const std::function<void()>& before_case) {
  Verdict worst;
  bool tried = false;
  for (const Numbers& numbers : pair.cases)
    for (const Style style : pair.styles) {
      if (!candidate.supports(numbers)) continue;
      tried = true;
      if (before_case) before_case();
      Verdict v = judge(pair, candidate, numbers, style, seed);
      v.elements += worst.elements;
      const std::string where = describe(numbers, style) + ": ";
      if (!v.pass) v.reason = where + v.reason;
      v.worst = where + v.worst;
      if (!v.pass || v.max_share > worst.max_share) std::swap(worst, v);
      worst.elements = std::max(worst.elements, v.elements);
      if (!worst.pass) return worst;
    }
  if (!tried) {
    worst.pass = false;
    worst.reason = "it supports none of the cases";
  }
  return worst;
}

int64_t bytes_moved(const Pair& pair, Call& call) {
  if (pair.bytes) return pair.bytes(call);
  int64_t bytes = 0;
  for (const Argument& a : call.arguments())
    if (a.role != Role::scratch)
      bytes += (a.role == Role::update ? 2 : 1) * call.array(a.name).size() *
               dsllm::describe(call.array(a.name).dtype()).size;
  return bytes;
}

}  // namespace dsllm::tests
