#include "ref/core/philox.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/core/random.hpp"
#include "ref/core/tensor.hpp"

using namespace dsllm;

// The statistical tests below draw with one fixed seed, so that they pass or fail for good. Their bounds are five
// standard deviations of what is measured: a right generator exceeds one with a probability of 6e-7.

TEST_CASE("philox: the known answers published with Random123") {
  const auto check = [](PhiloxBlock counter, uint32_t key0, uint32_t key1, PhiloxBlock expected) {
    const PhiloxBlock got = philox4x32_10(counter, key0, key1);
    for (int i = 0; i < 4; ++i) CHECK(got.word[i] == expected.word[i]);
  };
  check({{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  check({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff,
        {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  check({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0,
        {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST_CASE("philox: how seed, stream and index become numbers, against a program of its own") {
  // Computed with Python integers and the math module from the definitions in the header.
  constexpr uint64_t seed = 0x0123456789abcdef, stream = 0x1122334455667788;
  const PhiloxBlock b = philox_block(seed, stream, 500'000'000'000);  // an index beyond 32 bits
  CHECK(b.word[0] == 0xc261d78d);
  CHECK(b.word[3] == 0xbb07e20e);
  CHECK(philox_double(seed, stream, 0) == 0.08527970557240638);
  CHECK(philox_double(seed, stream, 1) == 0.8129814823742296);
  CHECK(philox_double(seed, stream, 1'000'000'000'000) == 0.7593054505248792);
  CHECK(philox_float(seed, stream, 0) == static_cast<float>(0x15d4e4) * 0x1p-24f);
  CHECK(philox_float(seed, stream, 7) == static_cast<float>(0xee80df) * 0x1p-24f);
  // A few units in the last place for logarithm, root and cosine.
  const auto close = [](double got, double expected) {
    return std::abs(got - expected) <= 1e-15 * std::abs(expected);
  };
  CHECK(close(philox_normal(seed, stream, 0), 0.16275784957082706));
  CHECK(close(philox_normal(seed, stream, 1), -0.38959438083930037));
  CHECK(close(philox_normal(seed, stream, 2), -0.41069295618638096));
  CHECK(close(philox_normal(seed, stream, 1'000'000'000'001), -1.1449756314413162));
}

TEST_CASE("philox: uniform numbers lie in [0, 1), normal ones are finite") {
  CHECK(uniform_float(0) == 0);
  CHECK(uniform_float(0xffffffff) == 1 - 0x1p-24f);
  CHECK(uniform_double(0, 0) == 0);
  CHECK(uniform_double(0xffffffff, 0xffffffff) == 1 - 0x1p-53);
  const NormalPair largest = normal_pair({{0xffffffff, 0xffffffff, 0, 0}});
  CHECK(largest.first > 8.5);
  CHECK(largest.first < 8.6);
  CHECK(normal_pair({{0, 0, 0, 0}}).first == 0);
}

TEST_CASE("philox: reading front to back gives the elements, and three numbers resume it") {
  Philox random{7, 3};
  for (uint64_t i = 0; i < 10; ++i) CHECK(random.uniform() == philox_double(7, 3, i));
  const Philox saved = random;
  Philox resumed{saved.seed, saved.stream, saved.position};
  for (int i = 0; i < 5; ++i) CHECK(resumed.next() == random.next());
}

TEST_CASE("philox: the moments and the distribution of uniform and normal numbers") {
  constexpr int64_t n = 1 << 20;
  const double root = std::sqrt(static_cast<double>(n));
  Tensor<double, 1> u(n), z(n);
  fill_uniform(u, 0, 1, 11, 0);
  fill_normal(z, 0, 1, 11, 1);
  double mean = 0, square = 0, m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0, across = 0;
  for (int64_t i = 0; i < n; ++i) {
    mean += u(i) - 0.5;
    square += (u(i) - 0.5) * (u(i) - 0.5) - 1.0 / 12;
    m1 += z(i);
    m2 += z(i) * z(i) - 1;
    m3 += z(i) * z(i) * z(i);
    m4 += z(i) * z(i) * z(i) * z(i) - 3;
    if (i > 0) neighbours += z(i) * z(i - 1);
    across += z(i) * (u(i) - 0.5);
  }
  // The standard deviation of the mean of n terms is that of one term over sqrt(n). Of one term:
  CHECK(std::abs(mean / n) < 5 * std::sqrt(1.0 / 12) / root);
  CHECK(std::abs(square / n) < 5 * std::sqrt(1.0 / 180) / root);  // E(u-1/2)^4 - (1/12)^2 = 1/80 - 1/144
  CHECK(std::abs(m1 / n) < 5 * 1 / root);
  CHECK(std::abs(m2 / n) < 5 * std::sqrt(2.0) / root);   // E z^4 - 1
  CHECK(std::abs(m3 / n) < 5 * std::sqrt(15.0) / root);  // E z^6
  CHECK(std::abs(m4 / n) < 5 * std::sqrt(96.0) / root);  // E z^8 - 9
  CHECK(std::abs(neighbours / n) < 5 * 1 / root);
  CHECK(std::abs(across / n) < 5 * std::sqrt(1.0 / 12) / root);

  // Kolmogorov and Smirnov: P(sqrt(n) D > d) is about 2 exp(-2 d^2), 6e-7 at d = 2.75.
  const auto distance = [&](Tensor<double, 1>& x, auto cdf) {
    std::sort(x.data, x.data + n);
    double d = 0;
    for (int64_t i = 0; i < n; ++i)
      d = std::max({d, cdf(x(i)) - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - cdf(x(i))});
    return d;
  };
  CHECK(root * distance(u, [](double x) { return x; }) < 2.75);
  CHECK(root * distance(z, [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }) < 2.75);
}

TEST_CASE("philox: below(n) is unbiased, also where n does not divide 2^64") {
  // n = 3 * 2^62: without drawing again, the lowest third would come up half of the time.
  Philox random{5, 0};
  constexpr int draws = 30'000;
  int low = 0;
  for (int i = 0; i < draws; ++i) {
    const uint64_t x = random.below(uint64_t{3} << 62);
    REQUIRE(x < uint64_t{3} << 62);
    low += x < uint64_t{1} << 62;
  }
  CHECK(random.position > draws);  // some were drawn again
  CHECK(std::abs(low - draws / 3.0) < 5 * std::sqrt(draws * (1 / 3.0) * (2 / 3.0)));
  std::vector<int> counts(7);
  for (int i = 0; i < draws; ++i) ++counts[random.below(7)];
  for (const int c : counts) CHECK(std::abs(c - draws / 7.0) < 5 * std::sqrt(draws * (1 / 7.0) * (6 / 7.0)));
  CHECK(random.below(1) == 0);
}

TEST_CASE("random: an array is a function of seed and stream, for any number of threads") {
  const auto bytes = [](uint64_t seed, uint64_t stream, int64_t n, int with_threads) {
    set_threads(with_threads);
    Tensor<float, 1> x(n), y(n);
    fill_normal(x, 0.5, 2, seed, stream);
    fill_uniform(y, -1, 1, seed, stream);
    set_threads(0);
    return std::string(reinterpret_cast<const char*>(x.data), static_cast<size_t>(n) * 4) +
           std::string(reinterpret_cast<const char*>(y.data), static_cast<size_t>(n) * 4);
  };
  constexpr int64_t n = 100'001;  // several pieces, the last one odd
  const std::string one = bytes(1, 2, n, 1);
  for (const int t : {2, 3, 7}) CHECK((bytes(1, 2, n, t) == one));
  CHECK((bytes(1, 3, n, 2) != one));
  CHECK((bytes(2, 2, n, 2) != one));
  CHECK(bytes(1, 2, 0, 2).empty());

  Tensor<double, 1> z(n), u(n);
  fill_normal(z, 3, 0.25, 1, 2);
  fill_uniform(u, -2, 5, 1, 2);
  for (const int64_t i : {int64_t{0}, int64_t{1}, int64_t{16383}, int64_t{16384}, n - 1}) {
    CHECK(z(i) == 3 + 0.25 * philox_normal(1, 2, static_cast<uint64_t>(i)));
    CHECK(u(i) == -2 + 7 * philox_double(1, 2, static_cast<uint64_t>(i)));
  }
}

TEST_CASE("random: a permutation has every number once, and every order is equally likely") {
  CHECK(permutation(0, 1, 1).empty());
  CHECK(permutation(1, 1, 1) == std::vector<int64_t>{0});
  CHECK_THROWS_WITH_AS(permutation(-1, 1, 1), "permutation: expected n >= 0, got -1", ValueError);
  std::vector<int64_t> sorted = permutation(1000, 1, 1);
  CHECK(sorted != permutation(1000, 1, 2));
  CHECK(sorted == permutation(1000, 1, 1));
  std::sort(sorted.begin(), sorted.end());
  for (int64_t i = 0; i < 1000; ++i) REQUIRE(sorted[static_cast<size_t>(i)] == i);

  constexpr int draws = 24'000;
  std::vector<int> counts(256);
  for (uint64_t stream = 0; stream < draws; ++stream) {
    const std::vector<int64_t> p = permutation(4, 9, stream);
    ++counts[static_cast<size_t>(p[0] * 64 + p[1] * 16 + p[2] * 4 + p[3])];
  }
  int orders = 0;
  for (const int c : counts) {
    if (c == 0) continue;
    ++orders;
    CHECK(std::abs(c - draws / 24.0) < 5 * std::sqrt(draws * (1 / 24.0) * (23 / 24.0)));
  }
  CHECK(orders == 24);
}
