// What the pairs cannot show: targets and logits that only the device sees, for each step of the ladder.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "cuda/model/cross_entropy.hpp"
#include "ref/core/error.hpp"
#include "ref/core/tensor.hpp"
#include "ref/model/cross_entropy.hpp"

using namespace dsllm;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

struct Result {
  Tensor<float, 2> gradients;
  Tensor<float, 1> losses, forward_losses;
};

// Steps 1, 2 and 3 of the ladder.
Result run(int step, View<const float, 2> logits, View<const int32_t, 1> targets) {
  const int64_t n = logits.extent[0], vocab = logits.extent[1];
  cuda::Stream stream;
  cuda::DeviceTensor<float, 2> z("logits", n, vocab);
  cuda::DeviceTensor<int32_t, 1> t("targets", n);
  cuda::DeviceTensor<float, 1> losses("losses", n);
  z.upload(logits, stream);
  t.upload(targets, stream);
  Result r{Tensor<float, 2>(n, vocab), Tensor<float, 1>(n), Tensor<float, 1>(n)};
  if (step == 1) cuda::cross_entropy_forward_three_passes<float>(z, t, losses, stream);
  if (step == 2) cuda::cross_entropy_forward_online<float>(z, t, losses, stream);
  if (step == 3) cuda::cross_entropy_forward<float>(z, t, losses, stream);
  losses.download(r.forward_losses, stream);
  if (step == 1) cuda::cross_entropy_forward_backward_three_passes<float>(z, t, 0.5, losses, stream);
  if (step == 2) cuda::cross_entropy_forward_backward_online<float>(z, t, 0.5, losses, stream);
  if (step == 3) cuda::cross_entropy_forward_backward<float>(z, t, 0.5, losses, stream);
  losses.download(r.losses, stream);
  z.download(r.gradients, stream);
  stream.synchronize();
  return r;
}

Tensor<float, 2> some_logits(int64_t n, int64_t vocab) {
  Tensor<float, 2> z(n, vocab);
  for (int64_t i = 0; i < z.size(); ++i)
    z.data[i] = static_cast<float>(3 * std::sin(1.7 * static_cast<double>(i)));
  return z;
}

}  // namespace

TEST_CASE(
    "cross-entropy on the device: a target outside the vocabulary shows as NaN in its own position alone") {
  const int64_t vocab = 77;
  const Tensor<float, 2> logits = some_logits(5, vocab);
  Tensor<int32_t, 1> targets(5);
  targets(0) = 5, targets(1) = static_cast<int32_t>(vocab), targets(2) = 76, targets(3) = -2, targets(4) = 0;
  for (const int step : {1, 2, 3}) {
    const Result r = run(step, logits, targets);
    for (int64_t t = 0; t < 5; ++t) {
      const bool bad = t == 1 || t == 3;
      CHECK(std::isnan(r.losses(t)) == bad);
      CHECK(std::isnan(r.forward_losses(t)) == bad);
      for (int64_t j = 0; j < vocab; ++j) CHECK(std::isnan(r.gradients(t, j)) == bad);
    }
  }
}

TEST_CASE("cross-entropy on the device: masked logits of minus infinity have no part, wherever they stand") {
  // Enough of them that whole threads and vectors see nothing else.
  const int64_t vocab = 5000;
  for (const int64_t first_open : {0, 1, 2500, 4990}) {
    Tensor<float, 2> logits = some_logits(2, vocab);
    for (int64_t t = 0; t < 2; ++t)
      for (int64_t j = 0; j < vocab; ++j)
        if (j < first_open || j >= first_open + 10) logits(t, j) = -infinity;
    Tensor<int32_t, 1> targets(2);
    targets(0) = static_cast<int32_t>(first_open), targets(1) = static_cast<int32_t>(first_open) + 9;
    Tensor<float, 2> gradients = logits.clone();
    Tensor<float, 1> losses(2);
    ref::cross_entropy_forward_backward<float>(gradients, targets, 0.5, losses);
    for (const int step : {1, 2, 3}) {
      const Result r = run(step, logits, targets);
      for (int64_t t = 0; t < 2; ++t) {
        CHECK(r.losses(t) == doctest::Approx(losses(t)).epsilon(1e-5));
        CHECK(r.forward_losses(t) == r.losses(t));
        for (int64_t j = 0; j < vocab; ++j)
          CHECK(std::abs(r.gradients(t, j) - gradients(t, j)) <= 1e-6);  // so that a NaN fails
      }
    }
  }
}

TEST_CASE("cross-entropy on the device: numbers near the end of the range, and what is not finite stays so") {
  const int64_t vocab = 600;
  for (const int step : {1, 2, 3}) {
    Tensor<float, 2> logits(3, vocab);
    Tensor<int32_t, 1> targets(3);
    for (int64_t j = 0; j < vocab; ++j) logits(0, j) = j == 1 ? 3e38f : -3e38f;
    targets(0) = 1;
    logits(1, 599) = std::nanf("");
    logits(2, 17) = infinity;
    const Result r = run(step, logits, targets);
    CHECK(r.losses(0) == 0);
    CHECK(r.gradients(0, 1) == 0);
    CHECK(std::isnan(r.losses(1)));
    CHECK_FALSE(std::isfinite(r.losses(2)));
  }
}

TEST_CASE("cross-entropy on the device: the loss is that of the logits from before, for every target") {
  // A thread that overwrites the target's logit before another has read it would change the loss.
  for (const int64_t vocab : {int64_t{130}, int64_t{8200}}) {
    Tensor<int32_t, 1> targets(64);
    const Tensor<float, 2> logits = some_logits(64, vocab);
    for (int64_t t = 0; t < 64; ++t) targets(t) = static_cast<int32_t>(t * (vocab - 1) / 63);
    for (const int step : {1, 2, 3}) {
      const Result r = run(step, logits, targets);
      for (int64_t t = 0; t < 64; ++t) CHECK(r.losses(t) == r.forward_losses(t));
    }
  }
}

TEST_CASE("cross-entropy on the device: shapes are checked") {
  cuda::Stream stream;
  cuda::DeviceTensor<float, 2> z("logits", 2, 3);
  cuda::DeviceTensor<int32_t, 1> t("targets", 3);
  cuda::DeviceTensor<float, 1> losses("losses", 2);
  CHECK_THROWS_WITH_AS(cuda::cross_entropy_forward<float>(z, t, losses, stream),
                       "cross_entropy_forward: expected targets [2], got [3]", ShapeError);
  CHECK_THROWS_AS(
      cuda::cross_entropy_forward_backward_online<float>(z, t.rows(0, 2), 1, losses.rows(0, 1), stream),
      ShapeError);
}
