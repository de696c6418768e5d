#include "ref/train/adamw.hpp"

#include <fmt/format.h>

#include <cmath>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/core/portable_math.hpp"

namespace dsllm::ref {
namespace {

constexpr int64_t grain = 1 << 16;  // elements a thread updates at a time

void require(bool holds, const char* rule, double got) {
  if (!holds) throw ValueError("adamw_step", rule, fmt::format("{}", got));
}

}  // namespace

template <class T>
AdamwCoefficients<T>::AdamwCoefficients(const AdamwSettings& settings, double lr, int64_t step,
                                        double weight_decay) {
  require(step >= 1, "a step that counts from 1", static_cast<double>(step));
  require(lr >= 0 && std::isfinite(lr), "a finite learning rate >= 0", lr);
  require(weight_decay >= 0 && std::isfinite(weight_decay), "a finite weight decay >= 0", weight_decay);
  settings.validate("adamw_step");
  // An eps that rounds to 0 would divide 0 by 0 where no gradient has been.
  require(static_cast<T>(settings.eps) > 0, "eps > 0", settings.eps);
  beta1 = static_cast<T>(settings.beta1);
  one_minus_beta1 = static_cast<T>(1 - settings.beta1);
  beta2 = static_cast<T>(settings.beta2);
  one_minus_beta2 = static_cast<T>(1 - settings.beta2);
  step_size = static_cast<T>(lr / (1 - power(settings.beta1, step)));
  v_scale = static_cast<T>(1 / std::sqrt(1 - power(settings.beta2, step)));
  eps = static_cast<T>(settings.eps);
  decay = static_cast<T>(lr * weight_decay);
}

template <class T>
void adamw_step(const AdamwSettings& settings, double lr, int64_t step, In<T, 1> gradient, Out<T, 1> weight,
                Out<T, 1> m, Out<T, 1> v, double weight_decay) {
  const int64_t n = weight.extent[0];
  check_shape("adamw_step", "gradient", gradient, {n});
  check_shape("adamw_step", "m", m, {n});
  check_shape("adamw_step", "v", v, {n});
  const AdamwCoefficients<T> c(settings, lr, step, weight_decay);
  parallel_pieces(n, grain, [&](int64_t begin, int64_t end) {
    const T* gs = gradient.data;
    T *ws = weight.data, *ms = m.data, *vs = v.data;
    for (int64_t i = begin; i < end; ++i) {
      const T g = gs[i];
      const T mi = c.beta1 * ms[i] + c.one_minus_beta1 * g;
      const T vi = c.beta2 * vs[i] + c.one_minus_beta2 * (g * g);
      ms[i] = mi;
      vs[i] = vi;
      ws[i] = ws[i] - (c.step_size * (mi / (std::sqrt(vi) * c.v_scale + c.eps)) + c.decay * ws[i]);
    }
  });
}

template struct AdamwCoefficients<float>;
template struct AdamwCoefficients<double>;
template void adamw_step<float>(const AdamwSettings&, double, int64_t, In<float, 1>, Out<float, 1>,
                                Out<float, 1>, Out<float, 1>, double);
template void adamw_step<double>(const AdamwSettings&, double, int64_t, In<double, 1>, Out<double, 1>,
                                 Out<double, 1>, Out<double, 1>, double);

}  // namespace dsllm::ref
