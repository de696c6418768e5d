#include "sim/schedule/closed_form.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/schedule/events.hpp"

namespace dsllm::sim {

PeakInFlight peak_in_flight(ScheduleKind kind, int64_t stages, int64_t micro_batches, int64_t chunks,
                            int64_t stage) noexcept {
  const int64_t p = stages, m = micro_batches, v = chunks, s = stage;
  switch (kind) {
    case ScheduleKind::gpipe:
      return {m, 0};
    case ScheduleKind::one_f_one_b:
      return {std::min(p - s, m), 0};
    case ScheduleKind::interleaved:
      if (v == 1) return {std::min(p - s, m), 0};
      return {std::min(2 * (p - 1 - s) + (v - 1) * p + 1, m * v), 0};
    case ScheduleKind::zb_h1: {
      const int64_t forwards = std::min(p - s, m);
      return {forwards, std::min(s, m - forwards)};
    }
    case ScheduleKind::zb_h2: {
      const int64_t forwards = std::min(2 * (p - s) - 1, m);
      return {forwards, std::min(2 * s, m - forwards)};
    }
    case ScheduleKind::dualpipe:
      return {p + 1, 0};
  }
  return {};
}

namespace {

// The slowest stage's times, and the numbers of the pipeline.
struct Numbers {
  int64_t p, m, v;
  double f = 0, b = 0, w = 0, pair = 0;
  double full() const { return f + b + w; }
};

Numbers numbers_of(const Pipeline& pipeline) {
  Numbers n{pipeline.stages, pipeline.micro_batches, chunks_of(pipeline)};
  double most = -1;
  const bool dual = pipeline.kind == ScheduleKind::dualpipe;
  const int64_t together = dual ? 1 : n.v;
  for (size_t i = 0; i < pipeline.times.size(); i += static_cast<size_t>(together)) {
    ChunkTimes sum;
    for (size_t c = i; c < i + static_cast<size_t>(together); ++c) {
      sum.forward_s += pipeline.times[c].forward_s;
      sum.backward_input_s += pipeline.times[c].backward_input_s;
      sum.backward_weight_s += pipeline.times[c].backward_weight_s;
    }
    if (sum.forward_s + sum.full_backward_s() > most) {
      most = sum.forward_s + sum.full_backward_s();
      n.f = sum.forward_s;
      n.b = sum.backward_input_s;
      n.w = sum.backward_weight_s;
    }
  }
  n.pair = dual && pipeline.overlapped_pair_s > 0 ? pipeline.overlapped_pair_s : n.full();
  return n;
}

std::string number(double x) {
  return fmt::format("{:.4g}", x);
}

// One forward after the other, one backward after the other: GPipe, 1F1B, and with v > 1 interleaved.
void plain(const Numbers& n, ClosedForm& form) {
  const auto over_v = [&](const char* text) { return n.v > 1 ? std::string(text) : std::string(); };
  const auto v = static_cast<double>(n.v);
  form.bubble_s = static_cast<double>(n.p - 1) * n.full() / v;
  form.formula = "bubble = (p-1)(F+B+W)" + over_v("/v");
  form.with_numbers = fmt::format("bubble = ({}-1)({}+{}+{}){} = {} s", n.p, number(n.f), number(n.b),
                                  number(n.w), n.v > 1 ? fmt::format("/{}", n.v) : "", number(form.bubble_s));
  const double rate =
      static_cast<double>(n.p - 1) / (v * static_cast<double>(n.m) + static_cast<double>(n.p - 1));
  form.rate = n.v > 1 ? fmt::format("bubble = ({}-1)/({}*{}+{}-1) = {:.1f}% of the iteration", n.p, n.v, n.m,
                                    n.p, 100 * rate)
                      : fmt::format("bubble = ({}-1)/({}+{}-1) = {:.1f}% of the iteration", n.p, n.m, n.p,
                                    100 * rate);
}

// ZB-H1 and ZB-H2: of the gap of (p-1)(F+B) passes of the weights' part fill one W for each stage behind, H2 two. As
// published this is for a W that fits: H1 W <= min(F, B), H2 2W <= min(2F, F+B). A longer one fills no more than that,
// since then others wait for it; that was found by comparing with the engine.
void zero_bubble(const Numbers& n, bool two, ClosedForm& form) {
  const int64_t depth = two ? 2 * n.p - 1 : n.p;
  const int64_t fills = std::min(n.m, depth) - 1;
  const double both =
      two ? std::min({2 * n.w, 2 * n.f, n.f + n.b}) : 2 * std::min({n.w, n.f, n.b});  // two fills
  const double one = two ? std::min(n.w, n.f) : both / 2;
  const auto pairs = fills / 2;
  form.bubble_s = static_cast<double>(n.p - 1) * (n.f + n.b) - static_cast<double>(pairs) * both -
                  static_cast<double>(fills % 2) * one;
  form.bubble_s = std::max(0.0, form.bubble_s);  // rounding
  const bool published = both == 2 * n.w, few = n.m < depth;
  const std::string gap = fmt::format("bubble = ({}-1)({}+{}", n.p, number(n.f), number(n.b));
  if (few && (published || !two)) {
    form.formula = published ? "bubble = (p-1)(F+B) - (m-1)W" : "bubble = (p-1)(F+B) - (m-1) min(W,F,B)";
    form.with_numbers = fmt::format("{}) - ({}-1)*{}", gap, n.m, number(one));
  } else if (few) {
    form.formula = "bubble = (p-1)(F+B) - floor((m-1)/2) min(2W,2F,F+B) - ((m-1) mod 2) min(W,F)";
    form.with_numbers =
        fmt::format("{}) - {}*{} - {}*{}", gap, fills / 2, number(both), fills % 2, number(one));
  } else {
    const char* least = two ? "min(2W,2F,F+B)" : "min(W,F,B)";
    form.formula = fmt::format("bubble = (p-1)(F+B-{})", published ? (two ? "2W" : "W") : least);
    form.with_numbers = published ? fmt::format("{}-{}{})", gap, two ? "2*" : "", number(n.w))
                                  : fmt::format("{}-{})", gap, number(two ? both : one));
  }
  if (few) form.formula += two ? ", since m < 2p-1" : ", since m < p";
  form.with_numbers += " = " + number(form.bubble_s) + " s";
}

// The published formula takes F = B(input) >= W for granted; the general one was found by comparing with the engine.
void dualpipe(const Numbers& n, ClosedForm& form) {
  const int64_t half = n.p / 2;
  const auto gaps = static_cast<double>(half - 1);
  const double published = gaps * (n.pair + (n.b + n.w) - 3 * n.w);
  form.bubble_s =
      std::max(gaps * (n.pair + n.f), gaps * (n.pair + n.b) - n.f) - gaps * (n.w + std::min(n.w, n.b));
  form.bubble_s = std::max(0.0, form.bubble_s);
  form.formula = "bubble = (p/2-1)(F&B+B-3W), B the full backward";
  form.with_numbers = fmt::format("bubble = ({}/2-1)({}+{}-3*{}) = {} s", n.p, number(n.pair),
                                  number(n.b + n.w), number(n.w), number(published));
  if (std::abs(form.bubble_s - published) > 1e-9 * n.full())
    form.with_numbers += fmt::format(
        "; {} s with these F, B and W, since it takes F = B >= W (B of the input)", number(form.bubble_s));
}

}  // namespace

ClosedForm closed_form(const Pipeline& pipeline) {
  validate(pipeline);
  const Numbers n = numbers_of(pipeline);
  const auto m = static_cast<double>(n.m);
  ClosedForm form;
  double work = m * n.full();
  switch (pipeline.kind) {
    case ScheduleKind::gpipe:
      plain(n, form);
      form.peak = fmt::format("peak in flight = m = {} micro-batches", n.m);
      form.source = "Huang et al. 2019; Narayanan et al. 2021, section 2.2";
      break;
    case ScheduleKind::one_f_one_b:
    case ScheduleKind::interleaved:
      plain(n, form);
      form.source = "Narayanan et al. 2021, section 2.2";
      break;
    case ScheduleKind::zb_h1:
      zero_bubble(n, false, form);
      form.source = "Qi et al. 2401.10241, table 2; small m: appendix H";
      break;
    case ScheduleKind::zb_h2:
      zero_bubble(n, true, form);
      form.source = "Qi et al. 2401.10241, table 2: the span of a rank, with optimizer post-validation";
      break;
    case ScheduleKind::dualpipe:
      dualpipe(n, form);
      // The middle ranks overlap m-p-1 of their m forwards with a backward.
      work -= static_cast<double>(n.m - n.p - 1) * (n.full() - n.pair);
      form.source = "DeepSeek-V3 2412.19437, table 2; two copies of the parameters";
      break;
  }
  const PeakInFlight peak = peak_in_flight(pipeline.kind, n.p, n.m, n.v, 0);
  form.peak_in_flight = static_cast<double>(peak.activations) /
                        static_cast<double>(pipeline.kind == ScheduleKind::dualpipe ? 1 : n.v);
  if (form.peak.empty()) {
    if (pipeline.kind == ScheduleKind::dualpipe)
      form.peak = fmt::format("peak in flight = p+1 = {} micro-batches", n.p + 1);
    else if (n.v > 1)
      form.peak = fmt::format("peak in flight = min(p (1 + (p-1)/(p v)), m) = {} micro-batches",
                              number(form.peak_in_flight));
    else
      form.peak =
          fmt::format("peak in flight = min({}, m) = {} micro-batches",
                      pipeline.kind == ScheduleKind::zb_h2 ? "2p-1" : "p", number(form.peak_in_flight));
  }
  form.iteration_s = work + form.bubble_s;
  form.bubble_of_total = form.iteration_s > 0 ? form.bubble_s / form.iteration_s : 0;
  form.bubble_of_ideal = work > 0 ? form.bubble_s / work : 0;
  if (form.rate.empty())
    form.rate = fmt::format("bubble = {}/({}+{}) = {:.1f}% of the iteration", number(form.bubble_s),
                            number(work), number(form.bubble_s), 100 * form.bubble_of_total);
  return form;
}

}  // namespace dsllm::sim
