// What the tests of the components share: golden data, random tensors, comparisons.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "ref/core/error.hpp"
#include "ref/core/safetensors.hpp"
#include "ref/core/tensor.hpp"
#include "tests/judge/gradient.hpp"

namespace dsllm::tests {

// A tensor of tests/golden/model/components.safetensors, which tests/golden/model.py wrote.
template <class T, int N>
Tensor<T, N> golden(const std::string& name) {
  static const SafetensorsFile file(DSLLM_SOURCE_DIR "/tests/golden/model/components.safetensors");
  return file.copy<T, N>(name);
}

// N(0, scale^2), from a fixed seed.
template <class T, int N>
void fill(const View<T, N>& x, uint64_t seed, double scale = 1) {
  Draw draw(seed, Style::normal);
  for (int64_t i = 0; i < x.size(); ++i) x.data[i] = static_cast<T>(scale * draw.normal());
}
template <class T, class... Extent>
auto random(uint64_t seed, double scale, Extent... extents) {
  Tensor<T, static_cast<int>(sizeof...(Extent))> x(extents...);
  fill(x, seed, scale);
  return x;
}

// sum_i a_i b_i, and the sum of the absolute values.
template <int N>
double dot(const View<double, N>& a, const View<double, N>& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) sum += a.data[i] * b.data[i];
  return sum;
}
template <int N>
double absolute_dot(const View<double, N>& a, const View<double, N>& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) sum += std::abs(a.data[i] * b.data[i]);
  return sum;
}

// Largest |a - b|; NaN if there is a NaN.
template <class T, class U, int N>
double distance(const View<T, N>& a, const View<U, N>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double error = std::abs(static_cast<double>(a.data[i]) - static_cast<double>(b.data[i]));
    if (!(error <= largest)) largest = error;
    if (std::isnan(largest)) return largest;
  }
  return largest;
}

template <class T, int N>
bool same_bits(const View<T, N>& a, const View<T, N>& b) {
  return a.size() == b.size() &&
         (a.size() == 0 || std::memcmp(a.data, b.data, static_cast<size_t>(a.size()) * sizeof(T)) == 0);
}

// The message of the error that f throws, or "nothing was thrown".
template <class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

// Numbers of order 1 to 10 that two programs compute in double, each with a few dozen roundings of 1e-16.
inline constexpr double golden_tolerance = 1e-13;

}  // namespace dsllm::tests

// f'(x) = gradient, with `gauge` as in check_gradient.
#define CHECK_GRADIENT(f, x, gradient, gauge)                                                      \
  do {                                                                                             \
    const auto verdict_ = ::dsllm::tests::check_gradient(f, (x).flat(), (gradient).flat(), gauge); \
    CHECK_MESSAGE(verdict_.pass, #gradient << ": " << verdict_.reason);                            \
  } while (false)
