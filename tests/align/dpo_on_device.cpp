// DPO from logits to the gradient by the logits without the host, and what its functions refuse.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "cuda/align/dpo.hpp"
#include "ref/align/dpo.hpp"
#include "ref/core/error.hpp"
#include "ref/core/tensor.hpp"
#include "ref/model/cross_entropy.hpp"
#include "tests/judge/gradient.hpp"

using namespace dsllm;

namespace {

constexpr int64_t pairs = 2, seq = 5, vocab = 19;

// The mean loss as a function of the policy's logits [2 pairs, seq, vocab], the chosen answers first; in double, by ref/.
double mean_loss(const DpoSettings& settings, View<const double, 3> logits, View<const int32_t, 2> targets,
                 View<const float, 1> reference) {
  Tensor<double, 1> log_probs(2 * pairs), ref_log_probs(2 * pairs), out(5 * pairs), losses(seq);
  for (int64_t b = 0; b < 2 * pairs; ++b) {
    ref::cross_entropy_forward<double>(logits.row(b), targets.row(b), losses);
    for (int64_t t = 0; t < seq; ++t) log_probs(b) -= losses(t);
    ref_log_probs(b) = reference(b);
  }
  return ref::dpo_loss<double>(settings, log_probs.rows(0, pairs), log_probs.rows(pairs, pairs),
                               ref_log_probs.rows(0, pairs), ref_log_probs.rows(pairs, pairs), 1,
                               out.rows(0, pairs), out.rows(pairs, pairs), out.rows(2 * pairs, pairs),
                               out.rows(3 * pairs, pairs), out.rows(4 * pairs, pairs))
      .loss;
}

}  // namespace

TEST_CASE(
    "DPO on the device: the gradient of the logits is that of the mean loss, by differences in double") {
  Tensor<double, 3> logits(2 * pairs, seq, vocab);
  Tensor<float, 3> start(2 * pairs, seq, vocab), gradient(2 * pairs, seq, vocab);
  Tensor<int32_t, 2> targets(2 * pairs, seq);
  Tensor<float, 1> reference(2 * pairs);
  for (int64_t i = 0; i < logits.size(); ++i) {
    start.data[i] = static_cast<float>(std::sin(1.7 * static_cast<double>(i)));
    logits.data[i] = start.data[i];
  }
  for (int64_t b = 0; b < 2 * pairs; ++b) {
    reference(b) = -8 - static_cast<float>(b);
    for (int64_t t = 0; t < seq; ++t)
      targets(b, t) =
          t < 1 + b % 2 || t == seq - b % 2 ? ignored_target : static_cast<int32_t>((7 * b + 3 * t) % vocab);
  }
  for (const auto loss : {DpoSettings::Loss::sigmoid, DpoSettings::Loss::ipo, DpoSettings::Loss::hinge}) {
    const DpoSettings settings{loss, 0.3, loss == DpoSettings::Loss::sigmoid ? 0.1 : 0, false};
    cuda::Stream stream;
    cuda::DeviceTensor<float, 3> z("logits", 2 * pairs, seq, vocab);
    cuda::DeviceTensor<int32_t, 2> t("targets", 2 * pairs, seq);
    cuda::DeviceTensor<float, 1> r("reference", 2 * pairs), log_probs("log_probs", 2 * pairs),
        dlog_probs("dlog_probs", 2 * pairs), losses("losses", pairs), rewards("rewards", 2 * pairs),
        metrics("metrics", cuda::dpo_metrics);
    cuda::DeviceTensor<float, 2> token_losses("token losses", 2 * pairs, seq);
    z.upload(start, stream);
    t.upload(targets, stream);
    r.upload(reference, stream);
    cuda::sequence_log_probs<float>(z, t, token_losses, log_probs, stream);
    cuda::dpo_loss(settings, log_probs.rows(0, pairs), log_probs.rows(pairs, pairs), r.rows(0, pairs),
                   r.rows(pairs, pairs), 1.0 / pairs, losses, dlog_probs.rows(0, pairs),
                   dlog_probs.rows(pairs, pairs), rewards.rows(0, pairs), rewards.rows(pairs, pairs), metrics,
                   stream);
    cuda::sequence_log_probs_backward<float>(z, t, dlog_probs, token_losses, stream);
    Tensor<float, 1> means(cuda::dpo_metrics);
    metrics.download(means, stream);
    z.download(gradient, stream);
    stream.synchronize();

    const auto f = [&] { return mean_loss(settings, logits, targets, reference); };
    CHECK(means(cuda::dpo_mean_loss) == doctest::Approx(f()).epsilon(1e-5));
    for (int64_t i = 0; i < logits.size(); ++i) {
      const double difference = tests::four_point_difference(f, logits.data[i], 0x1p-10);
      CHECK(std::abs(double{gradient.data[i]} - difference) <= 2e-6 * (1 + std::abs(difference)));
    }
  }
}

TEST_CASE("DPO on the device: settings and shapes are checked, a reference that is not read may be missing") {
  cuda::Stream stream;
  cuda::DeviceTensor<float, 1> x("x", 3), out("outputs", 15), metrics("metrics", cuda::dpo_metrics);
  fill_zero(x.data, x.bytes(), stream);
  const View<float, 1> none(nullptr, {0});
  const auto run = [&](const DpoSettings& s, View<const float, 1> reference, int64_t n = 3) {
    cuda::dpo_loss(s, x.rows(0, n), x.rows(0, n), reference, reference, 1, out.rows(0, n), out.rows(3, n),
                   out.rows(6, n), out.rows(9, n), out.rows(12, n), metrics, stream);
    stream.synchronize();
  };
  DpoSettings s;
  CHECK_THROWS_WITH_AS(run(s, none), "dpo_loss: expected reference_chosen [3], got [0]", ShapeError);
  s.reference_free = true;
  CHECK_NOTHROW(run(s, none));
  CHECK_THROWS_WITH_AS(run(s, none, 0), "dpo_loss: expected at least one pair, got 0", ValueError);
  s.beta = 0;
  CHECK_THROWS_AS(run(s, none), ValueError);
  s = {DpoSettings::Loss::hinge, 0.1, 0.1, true};
  CHECK_THROWS_AS(run(s, none), ValueError);
  s = {DpoSettings::Loss::sigmoid, 0.1, 0.5, true};
  CHECK_THROWS_AS(run(s, none), ValueError);
}
