#include "ref/model/cross_entropy.hpp"

#include "tests/model/support.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using namespace dsllm::tests;

TEST_CASE("cross_entropy: golden data, losses and gradient") {
  auto logits = golden<double, 2>("cross_entropy.logits");
  const auto targets = golden<int32_t, 1>("cross_entropy.targets");
  const auto expected = golden<double, 1>("cross_entropy.losses");
  Tensor<double, 1> losses(6), losses_again(6);
  cross_entropy_forward<double>(logits, targets, losses);
  // One row of logits is of order 1000, and so are its errors.
  CHECK(distance(losses, expected) <= 1000 * golden_tolerance);
  cross_entropy_forward_backward<double>(logits, targets, 0.25, losses_again);
  CHECK(same_bits(losses, losses_again));
  CHECK(distance(logits, golden<double, 2>("cross_entropy.dlogits")) <= golden_tolerance);
}

TEST_CASE("cross_entropy: the gradient agrees with 4-point differences") {
  auto logits = random<double>(1, 2, 4, 9);
  Tensor<int32_t, 1> targets(4);
  targets(0) = 3, targets(1) = ignored_target, targets(2) = 8;
  Tensor<double, 1> losses(4);
  const auto f = [&] {
    cross_entropy_forward<double>(logits, targets, losses);
    return 0.5 * (losses(0) + losses(1) + losses(2) + losses(3));
  };
  Tensor<double, 2> gradient = logits.clone();
  cross_entropy_forward_backward<double>(gradient, targets, 0.5, losses);
  CHECK_GRADIENT(f, logits, gradient, f());
}

TEST_CASE("cross_entropy: equal logits cost ln(vocab), and every row of the gradient sums to 0") {
  const int64_t vocab = 1000;
  Tensor<double, 2> logits(3, vocab);
  for (int64_t i = 0; i < 2 * vocab; ++i) logits.data[i] = 7;
  fill(logits.row(2), 1, 3);
  Tensor<int32_t, 1> targets(3);
  targets(1) = 999;
  Tensor<double, 1> losses(3);
  cross_entropy_forward_backward<double>(logits, targets, 1, losses);
  CHECK(losses(0) == doctest::Approx(std::log(1000)).epsilon(1e-14));
  CHECK(losses(1) == doctest::Approx(std::log(1000)).epsilon(1e-14));
  for (int64_t t = 0; t < 3; ++t) {
    double sum = 0;
    for (int64_t j = 0; j < vocab; ++j) sum += logits(t, j);
    CHECK(std::abs(sum) <= 1000 * 1e-16);  // a thousand roundings of numbers that add up to 1
  }
}

TEST_CASE("cross_entropy: an ignored position has no loss and no gradient, whatever its logits are") {
  Tensor<float, 2> logits(1, 4);
  for (int64_t j = 0; j < 4; ++j) logits(0, j) = j == 2 ? NAN : 1e30f;
  Tensor<int32_t, 1> targets(1);
  targets(0) = ignored_target;
  Tensor<float, 1> losses(1);
  losses(0) = 5;
  cross_entropy_forward_backward<float>(logits, targets, 1, losses);
  CHECK(losses(0) == 0);
  for (int64_t j = 0; j < 4; ++j) CHECK(logits(0, j) == 0);
}

TEST_CASE("cross_entropy: a NaN among the logits makes a NaN of the loss, wherever it is") {
  for (const int64_t vocab : {3, 40, 300})
    for (const int64_t at : {int64_t{0}, vocab / 2, vocab - 1}) {
      Tensor<float, 2> logits(1, vocab);
      fill(logits, 1);
      logits(0, at) = NAN;
      Tensor<int32_t, 1> targets(1);
      Tensor<float, 1> losses(1);
      targets(0) = at == 0 ? 1 : 0;
      cross_entropy_forward<float>(logits, targets, losses);
      CHECK_MESSAGE(std::isnan(losses(0)), "vocab " << vocab << ", NaN at " << at);
    }
}

TEST_CASE("cross_entropy: a target outside of the vocabulary is named, and nothing is written") {
  auto logits = random<float>(1, 1, 3, 5);
  const auto before = logits.clone();
  Tensor<int32_t, 1> targets(3);
  Tensor<float, 1> losses(3);
  for (const int32_t target : {5, -2}) {
    targets(1) = target;
    const std::string expected =
        "expected targets below the vocabulary of 5, got target " + std::to_string(target) + " at position 1";
    CHECK(message_of([&] { cross_entropy_forward<float>(logits, targets, losses); }) ==
          "cross_entropy_forward: " + expected);
    CHECK(message_of([&] { cross_entropy_forward_backward<float>(logits, targets, 1, losses); }) ==
          "cross_entropy_forward_backward: " + expected);
  }
  CHECK(same_bits(logits, before));
}
