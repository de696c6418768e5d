#include "ref/align/dpo.hpp"

#include <numeric>

#include "cuda/align/dpo.hpp"
#include "ref/core/error.hpp"
#include "ref/model/cross_entropy.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/logits_row.hpp"
#include "tests/pairs/on_device.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

using ref::DpoSettings;

template <class C>
DpoSettings settings_of(const C& c) {
  DpoSettings s;
  s.loss = static_cast<DpoSettings::Loss>(c.size("loss"));
  s.beta = c.number("beta");
  s.label_smoothing = c.number("smoothing");
  s.reference_free = c.number("reference_free") != 0;
  return s;
}

template <class T>
void loss(Call& c) {
  const ref::DpoMetrics means =
      ref::dpo_loss<T>(settings_of(c), c.in<T, 1>("policy_chosen"), c.in<T, 1>("policy_rejected"),
                       c.in<T, 1>("reference_chosen"), c.in<T, 1>("reference_rejected"), c.number("scale"),
                       c.out<T, 1>("losses"), c.out<T, 1>("dchosen"), c.out<T, 1>("drejected"),
                       c.out<T, 1>("rewards_chosen"), c.out<T, 1>("rewards_rejected"));
  const double values[] = {means.loss, means.reward_chosen, means.reward_rejected, means.margin,
                           means.accuracy};
  for (int64_t i = 0; i < 5; ++i) c.out<T, 1>("metrics")(i) = static_cast<T>(values[i]);
}

// The sums of log-probabilities that dpo_loss takes, from logits; the reference has them as losses.
template <class T>
void log_probs(Call& c) {
  using S = ref::Sum<T>;
  const auto logits = c.in<T, 3>("logits");
  const auto losses = c.out<S, 2>("losses");
  for (int64_t b = 0; b < logits.extent[0]; ++b) {
    ref::cross_entropy_forward<T>(logits.row(b), c.in<int32_t, 2>("targets").row(b), losses.row(b));
    const S* row = losses.row(b).data;
    c.out<S, 1>("log_probs")(b) = static_cast<S>(-std::accumulate(row, row + losses.extent[1], 0.0));
  }
}

template <class T>
void log_probs_backward(Call& c) {
  using S = ref::Sum<T>;
  const auto logits = c.out<T, 3>("logits");
  for (int64_t b = 0; b < logits.extent[0]; ++b)
    ref::cross_entropy_forward_backward<T>(logits.row(b), c.in<int32_t, 2>("targets").row(b),
                                           -c.in<S, 1>("dlog_probs")(b), c.out<S, 2>("losses").row(b));
}

std::vector<Argument> log_probs_arguments(const Numbers& s, Draw& draw, Role logits) {
  const int64_t batch = s.size("batch"), seq = s.size("seq"), vocab = s.size("vocab");
  std::vector<double> targets = draw.index(batch * seq, 0, vocab - 1);
  for (int64_t b = 0; b < batch; ++b) {
    // A prompt, a response of one token at least, padding; the first answer fills its sequence.
    const int64_t begin = b == 0 ? 0 : draw.integer(0, seq - 1),
                  end = b == 0 ? seq : draw.integer(begin + 1, seq);
    for (int64_t t = 0; t < seq; ++t)
      if (t < begin || t >= end) targets[static_cast<size_t>(b * seq + t)] = ignored_target;
  }
  return {
      {"logits", logits, {batch, seq, vocab}, draw.real(batch * seq * vocab, s.at("spread")), Kind::stored},
      {"targets", Role::input, {batch, seq}, targets, Kind::index},
      {"losses", Role::output, {batch, seq}, {}, Kind::wide}};
}

std::vector<double> log_probs_loss_bounds(Call& before, double eps) {
  const auto logits = before.in<double, 3>("logits");
  const auto targets = before.in<int32_t, 2>("targets");
  return each(targets.size(), [&](int64_t i) {
    return loss_bound_of(View<const double, 1>(logits.data + i * logits.extent[2], {logits.extent[2]}),
                         targets.data[i], eps);
  });
}

const std::vector<Numbers> log_probs_cases = {{{"batch", 1}, {"seq", 1}, {"vocab", 1}, {"spread", 1}},
                                              {{"batch", 3}, {"seq", 9}, {"vocab", 65}, {"spread", 3}},
                                              {{"batch", 2}, {"seq", 131}, {"vocab", 31}, {"spread", 10}},
                                              {{"batch", 2}, {"seq", 3}, {"vocab", 8209}, {"spread", 1}},
                                              {{"batch", 0}, {"seq", 5}, {"vocab", 7}, {"spread", 1}}};

Pair log_probs_pair() {
  Pair p("sequence_log_probs", "4");
  p.cases = log_probs_cases;
  p.arguments = [](const Numbers& s, Draw& draw) {
    std::vector<Argument> arguments = log_probs_arguments(s, draw, Role::input);
    arguments.push_back({"log_probs", Role::output, {s.size("batch")}, {}, Kind::wide});
    return arguments;
  };
  p.truth = log_probs<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, log_probs<float>},
                  {"ref bf16 logits", DType::f32, DType::bf16, log_probs<bf16>}};
  add_cuda<float, bf16>(p, "a block a token", []<class T>(OnDevice& d) {
    cuda::sequence_log_probs<T>(d.in<T, 3>("logits"), d.in<int32_t, 2>("targets"), d.out<float, 2>("losses"),
                                d.out<float, 1>("log_probs"), d.stream());
  });
  // A sum of non-negative losses, which may be summed in the type of the losses.
  p.bounds = [](Call& before, Call& truth, double eps) -> Bounds {
    const std::vector<double> losses = log_probs_loss_bounds(before, eps);
    const auto log_probs = truth.in<double, 1>("log_probs");
    const int64_t seq = before.in<int32_t, 2>("targets").extent[1];
    return {{"losses", losses}, {"log_probs", each(log_probs.size(), [&](int64_t b) {
                                   const auto begin = losses.begin() + b * seq;
                                   return std::accumulate(begin, begin + seq, 0.0) +
                                          eps * sum_of(seq) * std::abs(log_probs(b));
                                 })}};
  };
  p.flops = [](const Numbers& s) { return 4 * s.at("batch") * s.at("seq") * s.at("vocab"); };
  p.bench = {{"batch", 2}, {"seq", 64}, {"vocab", 4096}, {"spread", 3}};
  p.bench_on_device = {{"batch", 2}, {"seq", 256}, {"vocab", 102400}, {"spread", 3}};
  return p;
}

Pair log_probs_backward_pair() {
  Pair p("sequence_log_probs_backward", "4");
  p.cases = log_probs_cases;
  p.arguments = [](const Numbers& s, Draw& draw) {
    std::vector<Argument> arguments = log_probs_arguments(s, draw, Role::update);
    arguments.push_back(
        {"dlog_probs", Role::input, {s.size("batch")}, draw.real(s.size("batch")), Kind::wide});
    return arguments;
  };
  p.truth = log_probs_backward<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, log_probs_backward<float>},
                  {"ref bf16 logits", DType::f32, DType::bf16, log_probs_backward<bf16>}};
  add_cuda<float, bf16>(p, "a block a token", []<class T>(OnDevice& d) {
    cuda::sequence_log_probs_backward<T>(d.out<T, 3>("logits"), d.in<int32_t, 2>("targets"),
                                         d.in<float, 1>("dlog_probs"), d.out<float, 2>("losses"), d.stream());
  });
  p.bounds = [](Call& before, Call&, double eps) -> Bounds {
    const auto logits = before.in<double, 3>("logits");
    const auto targets = before.in<int32_t, 2>("targets");
    std::vector<double> dlogits;
    for (int64_t b = 0; b < targets.extent[0]; ++b)
      for (int64_t t = 0; t < targets.extent[1]; ++t)
        append_gradient_bounds(logits.row(b).row(t), targets(b, t), before.in<double, 1>("dlog_probs")(b),
                               eps, dlogits);
    return {{"losses", log_probs_loss_bounds(before, eps)}, {"logits", dlogits}};
  };
  p.flops = [](const Numbers& s) { return 7 * s.at("batch") * s.at("seq") * s.at("vocab"); };
  p.bench = {{"batch", 2}, {"seq", 64}, {"vocab", 4096}, {"spread", 3}};
  p.bench_on_device = {{"batch", 2}, {"seq", 256}, {"vocab", 102400}, {"spread", 3}};
  return p;
}

}  // namespace

std::vector<Pair> dpo_pairs() {
  Pair p("dpo_loss", "4");
  // loss: 0 sigmoid, 1 IPO, 2 hinge. spread: of the sums of log-probabilities.
  for (const double n : {1.0, 33.0, 301.0})
    for (const double spread : {3.0, 300.0})
      for (const double reference_free : {0.0, 1.0})
        for (const double kind : {0.0, 0.1, 1.0, 2.0})  // 0.1: the sigmoid loss with that label smoothing
          p.cases.push_back({{"n", n},
                             {"spread", spread},
                             {"reference_free", reference_free},
                             {"loss", std::floor(kind)},
                             {"smoothing", kind - std::floor(kind)},
                             {"beta", 0.3},
                             {"scale", 0.125}});
  p.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n");
    if (s.size("loss") > 2) throw ValueError("dpo_loss", "loss 0, 1 or 2", std::to_string(s.size("loss")));
    std::vector<Argument> arguments;
    for (const char* name : {"policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected"}) {
      std::vector<double> x = draw.real(n, s.at("spread"));
      for (double& v : x) v = -std::abs(v);
      arguments.push_back({name, Role::input, {n}, x, Kind::wide});
    }
    for (const char* name : {"losses", "dchosen", "drejected", "rewards_chosen", "rewards_rejected"})
      arguments.push_back({name, Role::output, {n}, {}, Kind::wide});
    arguments.push_back({"metrics", Role::output, {5}, {}, Kind::wide});
    return arguments;
  };
  p.truth = loss<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, loss<float>}};
  add_cuda<float>(p, "one thread a pair", []<class T>(OnDevice& d) {
    cuda::dpo_loss(settings_of(d), d.in<T, 1>("policy_chosen"), d.in<T, 1>("policy_rejected"),
                   d.in<T, 1>("reference_chosen"), d.in<T, 1>("reference_rejected"), d.number("scale"),
                   d.out<T, 1>("losses"), d.out<T, 1>("dchosen"), d.out<T, 1>("drejected"),
                   d.out<T, 1>("rewards_chosen"), d.out<T, 1>("rewards_rejected"), d.out<T, 1>("metrics"),
                   d.stream());
  });
  // h is a sum of four terms, so it errs by a few eps of their absolute values (with beta: in the same units, `dz`). The
  // sigmoid and hinge losses have a slope of at most 1 in z = beta h and the slope's slope is at most 1/4; IPO is a square.
  p.bounds = [](Call& before, Call& truth, double eps) -> Bounds {
    const double beta = before.number("beta"), scale = std::abs(before.number("scale"));
    const bool free = before.number("reference_free") != 0, ipo = before.number("loss") == 1;
    const auto at = [&](const char* name, int64_t i) { return std::abs(before.in<double, 1>(name)(i)); };
    const auto h_gauge = [&](int64_t i) {
      return at("policy_chosen", i) + at("policy_rejected", i) +
             (free ? 0 : at("reference_chosen", i) + at("reference_rejected", i));
    };
    const auto reward = [&](const char* policy, const char* reference) {
      return each(truth.array("losses").size(), [&](int64_t i) {
        return eps * operations(3) * beta * (at(policy, i) + (free ? 0 : at(reference, i)));
      });
    };
    const double kink = 1 / (2 * beta);
    const auto losses = truth.in<double, 1>("losses"), gradient = truth.in<double, 1>("dchosen");
    const auto loss_bound = each(losses.size(), [&](int64_t i) {
      const double dh = eps * operations(4) * (h_gauge(i) + (ipo ? kink : 0));
      const double slope = ipo ? 2 * (h_gauge(i) + kink) : beta;
      return slope * dh + eps * (2 * function_call + operations(3)) * std::abs(losses(i));
    });
    const auto gradient_bound = each(losses.size(), [&](int64_t i) {
      const double dh = eps * operations(4) * (h_gauge(i) + (ipo ? kink : 0));
      const double slope = ipo ? 2 : beta * beta / 4;
      return scale * (slope * dh + eps * beta * operations(2)) +
             eps * (function_call + operations(5)) * std::abs(gradient(i));
    });
    const auto chosen = reward("policy_chosen", "reference_chosen"),
               rejected = reward("policy_rejected", "reference_rejected");
    // A mean errs as its terms do, and is rounded once; a pair whose margin rounding can turn counts as right or not.
    const auto mean = [&](const std::vector<double>& bounds) {
      return std::accumulate(bounds.begin(), bounds.end(), 0.0) / static_cast<double>(bounds.size());
    };
    const auto margins = each(losses.size(), [&](int64_t i) {
      return truth.in<double, 1>("rewards_chosen")(i) - truth.in<double, 1>("rewards_rejected")(i);
    });
    const auto close = each(losses.size(), [&](int64_t i) {
      return std::abs(margins[static_cast<size_t>(i)]) <= beta * eps * operations(4) * h_gauge(i) ? 1.0 : 0.0;
    });
    std::vector<double> means = {mean(loss_bound), mean(chosen), mean(rejected),
                                 mean(chosen) + mean(rejected), mean(close)};
    for (int64_t i = 0; i < 5; ++i)
      means[static_cast<size_t>(i)] += eps * operations(1) * std::abs(truth.in<double, 1>("metrics")(i));
    return {{"losses", loss_bound},     {"dchosen", gradient_bound},    {"drejected", gradient_bound},
            {"rewards_chosen", chosen}, {"rewards_rejected", rejected}, {"metrics", means}};
  };
  p.flops = [](const Numbers& s) { return 20 * s.at("n"); };
  p.bench = {{"n", 4096},      {"spread", 30}, {"reference_free", 0}, {"loss", 0},
             {"smoothing", 0}, {"beta", 0.1},  {"scale", 0.001}};
  // As many pairs as a large batch has: less than a GPU needs to be busy, so this is the time of a launch.
  p.bench_on_device = {{"n", 1024},      {"spread", 30}, {"reference_free", 0}, {"loss", 0},
                       {"smoothing", 0}, {"beta", 0.1},  {"scale", 0.001}};
  return {log_probs_pair(), p, log_probs_backward_pair()};
}

}  // namespace dsllm::tests
