// A step of training that stays on the device: the rate, AdamW's coefficients, the clipped norm and the update, each against
// the reference, bit for bit.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "cuda/train/adamw.hpp"
#include "cuda/train/grad_clip.hpp"
#include "cuda/train/lr_schedule.hpp"
#include "ref/core/error.hpp"
#include "ref/core/portable_math.hpp"
#include "ref/core/tensor.hpp"
#include "ref/train/adamw.hpp"
#include "ref/train/grad_clip.hpp"
#include "ref/train/lr_schedule.hpp"

using namespace dsllm;

namespace {

template <class T>
cuda::DeviceTensor<T, 1> to_device(const std::vector<T>& values, cuda::Stream& stream) {
  cuda::DeviceTensor<T, 1> x("a test's array", values.size());
  x.upload(View<const T, 1>(values.data(), {x.extent[0]}), stream);
  return x;
}

template <class T>
std::vector<T> to_host(const cuda::DeviceTensor<T, 1>& x, cuda::Stream& stream) {
  std::vector<T> values(static_cast<size_t>(x.size()));
  x.download(View<T, 1>(values.data(), {x.extent[0]}), stream);
  stream.synchronize();
  return values;
}

template <class T>
bool same_bits(const std::vector<T>& a, const T* b) {
  return std::memcmp(a.data(), b, a.size() * sizeof(T)) == 0;
}

// Numbers without a pattern that a formula could meet by chance.
std::vector<float> numbers(int64_t n, double seed, double scale = 1) {
  std::vector<float> x;
  for (int64_t i = 0; i < n; ++i)
    x.push_back(static_cast<float>(scale * std::sin(1.7 * static_cast<double>(i) + seed)));
  return x;
}

View<float, 1> view(std::vector<float>& x) {
  return {x.data(), {static_cast<int64_t>(x.size())}};
}

LrSchedule schedule(LrSchedule::Shape shape, double max_lr, int64_t warmup) {
  LrSchedule s;
  s.shape = shape;
  s.max_lr = max_lr;
  s.warmup_steps = warmup;
  return s;
}

}  // namespace

TEST_CASE("learning rate on the device: every step of whole runs, bit for bit, in float and in double") {
  std::vector<std::pair<LrSchedule, int64_t>> runs;
  for (const auto shape : {LrSchedule::Shape::multi_step, LrSchedule::Shape::cosine}) {
    runs.emplace_back(schedule(shape, 1e-3, 0), 10);
    runs.emplace_back(schedule(shape, 3.2e-4, 7), 997);
    runs.emplace_back(schedule(shape, 4.2e-4, 2000), 100'000);
  }
  runs.emplace_back(schedule(LrSchedule::Shape::multi_step, 0.7, 3), 1001);
  runs.back().first.stages = {{0.07, 0.5}, {0.29, 0.3}, {0.33, 2}, {0.9, 0}};
  runs.emplace_back(schedule(LrSchedule::Shape::multi_step, 0.1, 100), 100);
  runs.back().first.stages = {};
  runs.emplace_back(schedule(LrSchedule::Shape::cosine, 0.3, 1), 4000);
  runs.back().first.min_ratio = 0;
  cuda::Stream stream;
  for (const auto& run : runs) {
    const LrSchedule& s = run.first;
    const int64_t total = run.second;
    s.validate(total);
    std::vector<int32_t> steps;
    for (int64_t i = 0; i <= total + 1; ++i) steps.push_back(static_cast<int32_t>(i));
    const auto device_steps = to_device(steps, stream);
    cuda::DeviceTensor<float, 1> in_float("rates", steps.size());
    cuda::DeviceTensor<double, 1> in_double("rates", steps.size());
    cuda::learning_rate<float>(s, total, device_steps, in_float, stream);
    cuda::learning_rate<double>(s, total, device_steps, in_double, stream);
    const auto floats = to_host(in_float, stream);
    const auto doubles = to_host(in_double, stream);
    int64_t different = 0;
    for (int64_t i = 1; i <= total; ++i) {
      const double rate = ref::learning_rate(s, i, total);
      const float rounded = static_cast<float>(rate);
      const auto at = static_cast<size_t>(i);
      different += std::memcmp(&rate, &doubles[at], sizeof rate) != 0 ||
                   std::memcmp(&rounded, &floats[at], sizeof rounded) != 0;
    }
    CHECK_MESSAGE(different == 0, total << " steps");
    CHECK(std::isnan(doubles.front()));  // step 0
    CHECK(std::isnan(floats.back()));    // total + 1
  }
}

TEST_CASE("portable math: near the functions of the math library, exact where the cosine is") {
  double worst_cos = 0, worst_power = 0;
  for (int i = 0; i <= 100'000; ++i) {
    const long double x = i / 1e5L, exact = std::cos(3.14159265358979323846264L * x);
    worst_cos = std::max(worst_cos, static_cast<double>(std::abs(cos_pi(i / 1e5) - exact)));
  }
  CHECK(worst_cos < 4e-16);
  CHECK(cos_pi(0) == 1);
  CHECK(cos_pi(0.5) == 0);
  CHECK(cos_pi(1) == -1);
  for (const double base : {0.9, 0.95, 0.999})
    for (int64_t n = 0; n < 2000; ++n) {
      const long double exact = std::pow(static_cast<long double>(base), static_cast<long double>(n));
      worst_power = std::max(worst_power, static_cast<double>(std::abs(power(base, n) - exact) / exact) /
                                              (static_cast<double>(n) + 1));
    }
  CHECK(worst_power < 0x1p-53);
  CHECK(power(0, 0) == 1);
  CHECK(power(0, 5) == 0);
  CHECK(power(0.9, 1'000'000'000) == 0);
}

TEST_CASE("learning rate on the device: what is wrong is said") {
  cuda::Stream stream;
  cuda::DeviceTensor<int32_t, 1> steps("steps", 2);
  cuda::DeviceTensor<float, 1> rates("rates", 3);
  LrSchedule s;
  CHECK_THROWS_WITH_AS(cuda::learning_rate<float>(s, 10, steps, rates, stream),
                       "learning_rate: expected rates [2], got [3]", ShapeError);
  s.stages.assign(17, {0.5, 1});
  CHECK_THROWS_WITH_AS(cuda::learning_rate<float>(s, 10, steps, View<float, 1>(rates.data, {2}), stream),
                       "learning_rate: expected at most 16 stages, got 17", ValueError);
  CHECK_THROWS_AS(cuda::next_step(steps, stream), ShapeError);
}

TEST_CASE("AdamW on the device: the coefficients of 1000 steps of three settings, bit for bit") {
  cuda::Stream stream;
  auto step = to_device(std::vector<int32_t>{0}, stream);
  const auto lr = to_device(std::vector<double>{4.2e-4}, stream);
  cuda::DeviceTensor<cuda::AdamwCoefficients, 1> device("coefficients", 1);
  for (const AdamwSettings& settings :
       {AdamwSettings{}, AdamwSettings{0.9, 0.999, 1e-6, 0.01}, AdamwSettings{0, 0, 1e-3, 0}}) {
    step = to_device(std::vector<int32_t>{0}, stream);
    int64_t different = 0;
    for (int64_t t = 1; t <= 1000; ++t) {
      cuda::next_step(step, stream);
      cuda::adamw_coefficients(settings, step, lr, device, stream);
      const cuda::AdamwCoefficients c = to_host(device, stream)[0];
      const ref::AdamwCoefficients<float> r(settings, 4.2e-4, t, settings.weight_decay);
      static_assert(sizeof c == sizeof r);
      different += std::memcmp(&c, &r, sizeof c) != 0;
    }
    CHECK(different == 0);
  }
}

TEST_CASE(
    "AdamW on the device: 40 steps with schedule, clipping and bf16 copies are those of the reference, bit "
    "for bit") {
  // Two tensors, one of which decays; the first of them makes the second begin at an odd place.
  const int64_t n = 3001, split = 1037;
  const int64_t total = 40;
  const LrSchedule s = schedule(LrSchedule::Shape::multi_step, 0.02, 5);
  const AdamwSettings settings;
  std::vector<float> w = numbers(n, 1), m(static_cast<size_t>(n)), v(static_cast<size_t>(n));

  cuda::Stream stream;
  const auto device_w = to_device(w, stream), device_m = to_device(m, stream),
             device_v = to_device(v, stream);
  cuda::DeviceTensor<float, 1> gradient("gradient", n), norm("norm", 1), scale("scale", 1);
  cuda::DeviceTensor<bf16, 1> copy("copy", n);
  const auto step = to_device(std::vector<int32_t>{0}, stream);
  cuda::DeviceTensor<double, 1> lr("lr", 1);
  cuda::DeviceTensor<cuda::AdamwCoefficients, 1> coefficients("coefficients", 1);
  const cuda::TensorList list({gradient.rows(0, split), gradient.rows(split, n - split)}, stream);
  cuda::DeviceTensor<double, 1> partial("partial", list.pieces());
  int clipped = 0;
  for (int64_t t = 1; t <= total; ++t) {
    std::vector<float> g = numbers(n, 3.3 * static_cast<double>(t), t % 3 == 0 ? 0.001 : 1);
    gradient.upload(View<const float, 1>(view(g)), stream);
    cuda::next_step(step, stream);
    cuda::learning_rate<double>(s, total, step, lr, stream);
    cuda::global_norm(list, 1, partial, norm, scale, stream);
    cuda::adamw_coefficients(settings, step, lr, coefficients, stream);
    for (const auto& [begin, count, decays] :
         {std::tuple{int64_t{0}, split, true}, {split, n - split, false}})
      cuda::adamw_mixed_step<bf16>(coefficients, scale, decays, gradient.rows(begin, count),
                                   device_w.rows(begin, count), device_m.rows(begin, count),
                                   device_v.rows(begin, count), copy.rows(begin, count), stream);

    const double rate = ref::learning_rate(s, t, total);
    const double reference_norm = ref::grad_clip<float>(1, view(g));
    clipped += reference_norm > 1;
    CHECK(to_host(norm, stream)[0] == static_cast<float>(reference_norm));
    for (const auto& [begin, count, decay] :
         {std::tuple{int64_t{0}, split, settings.weight_decay}, {split, n - split, 0.0}})
      ref::adamw_step<float>(settings, rate, t, view(g).rows(begin, count), view(w).rows(begin, count),
                             view(m).rows(begin, count), view(v).rows(begin, count), decay);
    CHECK(same_bits(to_host(device_w, stream), w.data()));
    CHECK(same_bits(to_host(device_m, stream), m.data()));
    CHECK(same_bits(to_host(device_v, stream), v.data()));
    const auto copies = to_host(copy, stream);
    int64_t different = 0;
    for (size_t i = 0; i < w.size(); ++i) different += copies[i].bits != bf16(w[i]).bits;
    CHECK(different == 0);
  }
  CHECK(clipped > 10);
  CHECK(clipped < 40);  // both kinds of step were there
}

TEST_CASE("AdamW on the device: a gradient that is not finite changes nothing") {
  const int64_t n = 1001;
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    cuda::Stream stream;
    std::vector<float> g = numbers(n, 1), w = numbers(n, 2), m = numbers(n, 3), v = numbers(n, 4);
    for (float& x : v) x = std::abs(x);
    g[700] = bad;
    const auto gradient = to_device(g, stream), device_w = to_device(w, stream),
               device_m = to_device(m, stream), device_v = to_device(v, stream);
    cuda::DeviceTensor<float, 1> norm("norm", 1), scale("scale", 1);
    cuda::DeviceTensor<bf16, 1> copy("copy", n);
    const cuda::TensorList list({gradient}, stream);
    cuda::DeviceTensor<double, 1> partial("partial", list.pieces());
    cuda::grad_clip(list, 1, partial, norm, scale, stream);
    CHECK_FALSE(std::isfinite(to_host(norm, stream)[0]));
    CHECK(same_bits(to_host(gradient, stream), g.data()));  // as the reference leaves it

    const auto step = to_device(std::vector<int32_t>{3}, stream);
    const auto lr = to_device(std::vector<double>{0.1}, stream);
    cuda::DeviceTensor<cuda::AdamwCoefficients, 1> coefficients("coefficients", 1);
    cuda::adamw_coefficients({}, step, lr, coefficients, stream);
    cuda::adamw_mixed_step<bf16>(coefficients, scale, true, gradient, device_w, device_m, device_v, copy,
                                 stream);
    CHECK(same_bits(to_host(device_w, stream), w.data()));
    CHECK(same_bits(to_host(device_m, stream), m.data()));
    CHECK(same_bits(to_host(device_v, stream), v.data()));
    CHECK(to_host(copy, stream)[700].bits == bf16(w[700]).bits);
  }
}

TEST_CASE("gradient norm on the device: squares that no float holds, lists of nothing, an infinite limit") {
  cuda::Stream stream;
  cuda::DeviceTensor<float, 1> norm("norm", 1), scale("scale", 1);
  const auto large = to_device(std::vector<float>{3e20f, 0, 4e20f}, stream);
  const cuda::TensorList list({large}, stream);
  cuda::DeviceTensor<double, 1> partial("partial", 1);
  cuda::grad_clip(list, 1, partial, norm, scale, stream);
  CHECK(to_host(norm, stream)[0] == doctest::Approx(5e20).epsilon(1e-7));
  CHECK(to_host(large, stream)[2] == doctest::Approx(0.8).epsilon(1e-6));
  cuda::grad_clip(list, std::numeric_limits<double>::infinity(), partial, norm, scale, stream);
  CHECK(to_host(scale, stream)[0] == 1);

  // More pieces than the second stage has threads.
  const std::vector<float> g = numbers(7 * 1500, 2);
  const auto many = to_device(g, stream);
  std::vector<View<float, 1>> tensors;
  double sum = 0;
  for (int64_t i = 0; i < 1500; ++i) tensors.push_back(many.rows(7 * i, i % 8));
  for (const auto& tensor : tensors)
    for (int64_t k = 0; k < tensor.size(); ++k) {
      const double x = g[static_cast<size_t>(tensor.data - many.data + k)];
      sum += x * x;
    }
  const cuda::TensorList list_of_many(tensors, stream);
  CHECK(list_of_many.pieces() == 1500 - 188);  // every eighth has no element
  cuda::DeviceTensor<double, 1> partials("partial", list_of_many.pieces());
  cuda::global_norm(list_of_many, 1, partials, norm, scale, stream);
  CHECK(to_host(norm, stream)[0] == static_cast<float>(std::sqrt(sum)));
  CHECK(to_host(scale, stream)[0] == static_cast<float>(1 / std::sqrt(sum)));

  const cuda::TensorList nothing({}, stream), empty({large.rows(1, 0), large.rows(2, 0)}, stream);
  CHECK(nothing.pieces() == 0);
  CHECK(empty.pieces() == 0);
  for (const cuda::TensorList* l : {&nothing, &empty}) {
    cuda::grad_clip(*l, 1, View<double, 1>(nullptr, {0}), norm, scale, stream);
    CHECK(to_host(norm, stream)[0] == 0);
    CHECK(to_host(scale, stream)[0] == 1);
  }
  CHECK_THROWS_WITH_AS(cuda::global_norm(list, 0, partial, norm, scale, stream),
                       "global_norm: expected max_norm > 0, got 0.000000", ValueError);
  CHECK_THROWS_AS(cuda::global_norm(list, std::nan(""), partial, norm, scale, stream), ValueError);
  CHECK_THROWS_WITH_AS(cuda::global_norm(nothing, 1, partial, norm, scale, stream),
                       "global_norm: expected partial [0], got [1]", ShapeError);
}

TEST_CASE("AdamW on the device: settings and shapes are checked; a bad step or rate becomes NaN") {
  cuda::Stream stream;
  const auto step = to_device(std::vector<int32_t>{0}, stream);
  const auto lr = to_device(std::vector<double>{-1}, stream);
  cuda::DeviceTensor<cuda::AdamwCoefficients, 1> c("coefficients", 1);
  CHECK_THROWS_AS(cuda::adamw_coefficients({1, 0.95, 1e-8, 0.1}, step, lr, c, stream), ValueError);
  CHECK_THROWS_AS(cuda::adamw_coefficients({0.9, -0.1, 1e-8, 0.1}, step, lr, c, stream), ValueError);
  CHECK_THROWS_AS(cuda::adamw_coefficients({0.9, 0.95, 1e-50, 0.1}, step, lr, c, stream), ValueError);
  CHECK_THROWS_AS(cuda::adamw_coefficients({0.9, 0.95, 1e-8, -1}, step, lr, c, stream), ValueError);
  cuda::adamw_coefficients({}, step, lr, c, stream);
  CHECK(std::isnan(to_host(c, stream)[0].step_size));
  const auto first = to_device(std::vector<int32_t>{1}, stream);
  cuda::adamw_coefficients({}, first, lr, c, stream);
  CHECK(std::isnan(to_host(c, stream)[0].step_size));

  cuda::DeviceTensor<float, 1> one("one", 1), x("x", 5);
  CHECK_THROWS_WITH_AS(cuda::adamw_step(c, one, true, x, x, x, x.rows(0, 4), stream),
                       "adamw_step: expected v [5], got [4]", ShapeError);
  CHECK_THROWS_AS(cuda::adamw_step(c, x, true, x, x, x, x, stream), ShapeError);
  CHECK_THROWS_AS(cuda::adamw_mixed_step<float>(c, one, true, x, x, x, x, one, stream), ShapeError);
}
