#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "ref/core/bf16.hpp"
#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

template <class F>
void each_output(Call& call, const F& f) {
  for (const Argument& a : call.arguments())
    if (a.role == Role::output || a.role == Role::update)
      if (call.array(a.name).size() > 0) f(call.array(a.name), a);
}

template <class F>
void each_element(Call& call, const F& f) {
  each_output(call, [&](GuardedArray& x, const Argument&) {
    for (int64_t i = 0; i < x.size(); ++i) x.set(i, f(x.get(i)));
  });
}

void nothing_written(Call& before, Call& after) {
  after = before;
}

void zero(Call&, Call& after) {
  each_element(after, [](double) { return 0.0; });
}

void one_nan(Call&, Call& after) {
  each_output(after, [](GuardedArray& x, const Argument&) {
    x.set(x.size() / 2, std::numeric_limits<double>::quiet_NaN());
  });
}

// The last element keeps what the buffer held before, as when a loop stops one short.
void last_not_written(Call& before, Call& after) {
  each_output(after, [&](GuardedArray& x, const Argument& a) {
    GuardedArray& old = before.array(a.name);
    const size_t width = static_cast<size_t>(describe(x.dtype()).size),
                 at = static_cast<size_t>(x.size() - 1) * width;
    std::copy_n(old.elements() + at, width, x.elements() + at);
  });
}

void shifted_by_one(Call&, Call& after) {
  each_output(after, [](GuardedArray& x, const Argument&) {
    for (int64_t i = x.size() - 1; i > 0; --i) x.set(i, x.get(i - 1));
  });
}

void writes_past_the_end(Call&, Call& after) {
  each_output(after, [](GuardedArray& x, const Argument&) {
    x.elements()[x.size() * describe(x.dtype()).size] = std::byte{0};
  });
}

void writes_before_the_beginning(Call&, Call& after) {
  each_output(after, [](GuardedArray& x, const Argument&) { *(x.elements() - 1) = std::byte{0}; });
}

// By one unit in the last place, of one element.
void changes_an_input(Call&, Call& after) {
  for (const Argument& a : after.arguments())
    if (a.role == Role::input && after.array(a.name).size() > 0) {
      after.array(a.name).elements()[0] ^= std::byte{1};
      return;
    }
  // An operation without inputs (the angles of RoPE) cannot have this bug; an exception counts as one.
  throw std::runtime_error("no inputs");
}

void rounds_to_bf16(Call&, Call& after) {
  each_element(after, [](double x) { return double{bf16(static_cast<float>(x))}; });
}

void one_part_in_a_thousand(Call&, Call& after) {
  each_element(after, [](double x) { return x * 1.001; });
}

void throws(Call&, Call&) {
  throw std::runtime_error("not implemented");
}

}  // namespace

std::vector<Mutation> mutations() {
  return {{"writes nothing", nothing_written},
          {"writes zeros", zero},
          {"one NaN", one_nan},
          {"last element is stale", last_not_written},
          {"shifted by one element", shifted_by_one},
          {"writes past the end", writes_past_the_end},
          {"writes before the beginning", writes_before_the_beginning},
          {"changes an input by one bit", changes_an_input},
          {"rounds its results to bf16", rounds_to_bf16},
          {"off by one part in a thousand", one_part_in_a_thousand},
          {"throws", throws}};
}

}  // namespace dsllm::tests
