#include <cmath>

#include "ref/core/bf16.hpp"
#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

struct ForwardBug {
  bool no_eps = false;
  bool eps_outside = false;  // 1 / (sqrt(mean) + eps)
  bool sum_for_mean = false;
  bool subtracts_mean = false;   // LayerNorm
  bool weight_plus_one = false;  // Gemma's convention
  bool sums_in_bf16 = false;
  bool keeps_rms = false;  // inv_rms holds its inverse
};

Run forward(const ForwardBug& bug) {
  return [bug](Call& c) {
    const auto x = c.in<float, 2>("x");
    const auto y = c.out<float, 2>("y");
    const auto w = c.in<float, 1>("weight");
    const auto inv_rms = c.out<float, 1>("inv_rms");
    const int64_t d = x.extent[1];
    for (int64_t t = 0; t < x.extent[0]; ++t) {
      float sum = 0, mean = 0;
      for (int64_t j = 0; j < d; ++j) {
        sum += x(t, j) * x(t, j);
        mean += x(t, j) / static_cast<float>(d);
        if (bug.sums_in_bf16) sum = bf16(sum);
      }
      if (!bug.subtracts_mean) mean = 0;
      if (!bug.sum_for_mean) sum /= static_cast<float>(d);
      const float eps = bug.no_eps ? 0 : static_cast<float>(c.number("eps"));
      const float inv = bug.eps_outside ? 1 / (std::sqrt(sum) + eps) : 1 / std::sqrt(sum - mean * mean + eps);
      for (int64_t j = 0; j < d; ++j)
        y(t, j) = (x(t, j) - mean) * inv * (w(j) + (bug.weight_plus_one ? 1 : 0));
      inv_rms(t) = bug.keeps_rms ? 1 / inv : inv;
    }
  };
}

struct ResidualBug {
  bool not_added = false;     // y is that of x
  bool stores_x = false;      // h is x
  bool rounds_first = false;  // h in bf16 before it is normalized
  bool inv_rms_of_x = false;  // the statistic is taken before the addition
};

Run residual_forward(const ResidualBug& bug) {
  return [bug](Call& c) {
    const auto x = c.in<float, 2>("x"), residual = c.in<float, 2>("residual");
    const auto w = c.in<float, 1>("weight");
    const auto h = c.out<float, 2>("h"), y = c.out<float, 2>("y");
    const auto inv_rms = c.out<float, 1>("inv_rms");
    const int64_t d = x.extent[1];
    std::vector<float> row(static_cast<size_t>(d));
    for (int64_t t = 0; t < x.extent[0]; ++t) {
      float sum = 0;
      for (int64_t j = 0; j < d; ++j) {
        float& s = row[static_cast<size_t>(j)] = x(t, j) + (bug.not_added ? 0 : residual(t, j));
        if (bug.rounds_first) s = bf16(s);
        sum += bug.inv_rms_of_x ? x(t, j) * x(t, j) : s * s;
      }
      inv_rms(t) = 1 / std::sqrt(sum / static_cast<float>(d) + static_cast<float>(c.number("eps")));
      for (int64_t j = 0; j < d; ++j) {
        h(t, j) = bug.stores_x ? x(t, j) : row[static_cast<size_t>(j)];
        y(t, j) = row[static_cast<size_t>(j)] * inv_rms(t) * w(j);
      }
    }
  };
}

struct BackwardBug {
  bool no_projection = false;       // dx = inv dy w
  bool projects_without_w = false;  // sum_j dy_j x_j
  bool sum_for_mean = false;
  bool dweight_overwritten = false;
  bool dx_accumulated = false;
  bool dweight_without_inv = false;
  bool last_token_missing = false;  // in dweight
  bool dx_first = false;            // in place, dweight reads dx where it means dy
};

Run backward(const BackwardBug& bug) {
  return [bug](Call& c) {
    const auto dy = c.in<float, 2>("dy"), x = c.in<float, 2>("x");
    const auto dx = c.out<float, 2>("dx");
    const auto w = c.in<float, 1>("weight"), inv = c.in<float, 1>("inv_rms");
    const auto dweight = c.out<float, 1>("dweight");
    const int64_t n = x.extent[0], d = x.extent[1];
    const auto for_weight = [&] {
      for (int64_t j = 0; j < d; ++j) {
        float sum = 0;
        for (int64_t t = 0; t < n - (bug.last_token_missing ? 1 : 0); ++t)
          sum += dy(t, j) * x(t, j) * (bug.dweight_without_inv ? 1 : inv(t));
        dweight(j) = bug.dweight_overwritten ? sum : dweight(j) + sum;
      }
    };
    if (!bug.dx_first) for_weight();
    for (int64_t t = 0; t < n; ++t) {
      float sum = 0;
      for (int64_t j = 0; j < d; ++j) sum += dy(t, j) * (bug.projects_without_w ? 1 : w(j)) * x(t, j);
      if (!bug.sum_for_mean) sum /= static_cast<float>(d);
      if (bug.no_projection) sum = 0;
      for (int64_t j = 0; j < d; ++j) {
        const float result = inv(t) * dy(t, j) * w(j) - x(t, j) * inv(t) * inv(t) * inv(t) * sum;
        dx(t, j) = bug.dx_accumulated ? dx(t, j) + result : result;
      }
    }
    if (bug.dx_first) for_weight();
  };
}

}  // namespace

std::vector<Bug> rmsnorm_bugs() {
  return {
      {"rmsnorm_forward", "", forward({})},
      {"rmsnorm_forward", "no eps", forward({.no_eps = true})},
      {"rmsnorm_forward", "eps outside of the root", forward({.eps_outside = true})},
      {"rmsnorm_forward", "sum in place of mean", forward({.sum_for_mean = true})},
      {"rmsnorm_forward", "subtracts the mean (LayerNorm)", forward({.subtracts_mean = true})},
      {"rmsnorm_forward", "weight + 1", forward({.weight_plus_one = true})},
      {"rmsnorm_forward", "sums in bf16", forward({.sums_in_bf16 = true})},
      {"rmsnorm_forward", "keeps rms, not its inverse", forward({.keeps_rms = true})},
      {"rmsnorm_residual_forward", "", residual_forward({})},
      {"rmsnorm_residual_forward", "the residual is not added", residual_forward({.not_added = true})},
      {"rmsnorm_residual_forward", "stores x for h", residual_forward({.stores_x = true})},
      {"rmsnorm_residual_forward", "rounds h to bf16 first", residual_forward({.rounds_first = true})},
      {"rmsnorm_residual_forward", "inv_rms of x", residual_forward({.inv_rms_of_x = true})},
      {"rmsnorm_backward", "", backward({})},
      {"rmsnorm_backward", "no projection", backward({.no_projection = true})},
      {"rmsnorm_backward", "projection without the weight", backward({.projects_without_w = true})},
      {"rmsnorm_backward", "sum in place of mean", backward({.sum_for_mean = true})},
      {"rmsnorm_backward", "dweight overwritten", backward({.dweight_overwritten = true})},
      {"rmsnorm_backward", "dx accumulated", backward({.dx_accumulated = true})},
      {"rmsnorm_backward", "dweight without inv_rms", backward({.dweight_without_inv = true})},
      {"rmsnorm_backward", "dweight misses the last token", backward({.last_token_missing = true})},
      {"rmsnorm_backward", "in place: dweight after dx", backward({.dx_first = true})},
  };
}

}  // namespace dsllm::tests
