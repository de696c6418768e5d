#include "ref/align/dpo.hpp"

#include "tests/judge/bounds.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

using ref::DpoSettings;

template <class T>
void loss(Call& c) {
  DpoSettings s;
  s.loss = static_cast<DpoSettings::Loss>(c.size("loss"));
  s.beta = c.number("beta");
  s.label_smoothing = c.number("smoothing");
  s.reference_free = c.number("reference_free") != 0;
  ref::dpo_loss<T>(s, c.in<T, 1>("policy_chosen"), c.in<T, 1>("policy_rejected"),
                   c.in<T, 1>("reference_chosen"), c.in<T, 1>("reference_rejected"), c.number("scale"),
                   c.out<T, 1>("losses"), c.out<T, 1>("dchosen"), c.out<T, 1>("drejected"),
                   c.out<T, 1>("rewards_chosen"), c.out<T, 1>("rewards_rejected"));
}

}  // namespace

std::vector<Pair> dpo_pairs() {
  Pair p("dpo_loss", "4");
  // loss: 0 sigmoid, 1 IPO, 2 hinge. spread: of the sums of log-probabilities.
  for (const double n : {1.0, 33.0})
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
    std::vector<Argument> arguments;
    for (const char* name : {"policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected"}) {
      std::vector<double> x = draw.real(n, s.at("spread"));
      for (double& v : x) v = -std::abs(v);
      arguments.push_back({name, Role::input, {n}, x, Kind::wide});
    }
    for (const char* name : {"losses", "dchosen", "drejected", "rewards_chosen", "rewards_rejected"})
      arguments.push_back({name, Role::output, {n}, {}, Kind::wide});
    return arguments;
  };
  p.truth = loss<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, loss<float>}};
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
    return {{"losses", loss_bound},
            {"dchosen", gradient_bound},
            {"drejected", gradient_bound},
            {"rewards_chosen", reward("policy_chosen", "reference_chosen")},
            {"rewards_rejected", reward("policy_rejected", "reference_rejected")}};
  };
  p.flops = [](const Numbers& s) { return 20 * s.at("n"); };
  p.bench = {{"n", 4096},      {"spread", 30}, {"reference_free", 0}, {"loss", 0},
             {"smoothing", 0}, {"beta", 0.1},  {"scale", 0.001}};
  p.bench_on_device = {{"n", 65536},     {"spread", 30}, {"reference_free", 0}, {"loss", 0},
                       {"smoothing", 0}, {"beta", 0.1},  {"scale", 0.001}};
  return {p};
}

}  // namespace dsllm::tests
