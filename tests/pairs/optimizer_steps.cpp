// Some steps of training's end, one after another: rate, clipping, AdamW. Not an operation of its own: it shows on every
// machine, a GPU too, that what the device computes without the host is the reference's result bit for bit.
#include <vector>

#include "cuda/train/adamw.hpp"
#include "cuda/train/grad_clip.hpp"
#include "cuda/train/lr_schedule.hpp"
#include "ref/core/error.hpp"
#include "ref/core/tensor.hpp"
#include "ref/train/adamw.hpp"
#include "ref/train/grad_clip.hpp"
#include "ref/train/lr_schedule.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/on_device.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

template <class C>
LrSchedule schedule_of(const C& c) {
  LrSchedule s;
  s.shape = c.number("cosine") != 0 ? LrSchedule::Shape::cosine : LrSchedule::Shape::multi_step;
  s.max_lr = c.number("max_lr");
  s.warmup_steps = c.size("warmup");
  return s;
}

// The elements are two tensors, matrices that decay and gains of norms that do not; the second begins anywhere.
struct Part {
  int64_t begin, size;
  bool decays;
};
std::vector<Part> parts(int64_t n) {
  return {{0, n / 3, true}, {n / 3, n - n / 3, false}};
}

template <class From, class To>
void copy_numbers(View<From, 1> from, View<To, 1> to) {
  for (int64_t i = 0; i < to.size(); ++i) to(i) = static_cast<To>(from(i));
}

// The reference in float whatever the arrays are: the truth is not the exact result here, but that of these operations.
template <class T, class W>
void reference_steps(Call& c) {
  const int64_t n = c.size("n"), steps = c.size("steps");
  Tensor<float, 1> w(n), m(n), v(n), g(n);
  copy_numbers(c.out<T, 1>("weight"), w.flat());
  copy_numbers(c.out<T, 1>("m"), m.flat());
  copy_numbers(c.out<T, 1>("v"), v.flat());
  const AdamwSettings settings;
  for (int64_t t = 1; t <= steps; ++t) {
    copy_numbers(c.in<T, 2>("gradients").row(t - 1), g.flat());
    const double norm = ref::grad_clip<float>(c.number("max_norm"), g);
    const double lr = ref::learning_rate(schedule_of(c), t, steps);
    for (const Part& p : parts(n))
      ref::adamw_step<float>(settings, lr, t, g.rows(p.begin, p.size), w.rows(p.begin, p.size),
                             m.rows(p.begin, p.size), v.rows(p.begin, p.size),
                             p.decays ? settings.weight_decay : 0);
    c.out<T, 1>("norms")(t - 1) = static_cast<T>(static_cast<float>(norm));
  }
  copy_numbers(w.flat(), c.out<T, 1>("weight"));
  copy_numbers(m.flat(), c.out<T, 1>("m"));
  copy_numbers(v.flat(), c.out<T, 1>("v"));
  copy_numbers(w.flat(), c.out<W, 1>("copy"));
}

template <class T>
void device_steps(OnDevice& d) {
  const int64_t n = d.size("n"), steps = d.size("steps");
  const AdamwSettings settings;
  const View<int32_t, 1> step = d.keep([] { return cuda::DeviceTensor<int32_t, 1>("step", 1); });
  cuda::fill_zero(step.data, sizeof(int32_t), d.stream());
  const View<cuda::AdamwCoefficients, 1> coefficients =
      d.keep([] { return cuda::DeviceTensor<cuda::AdamwCoefficients, 1>("coefficients", 1); });
  const View<double, 1> lr = d.keep([] { return cuda::DeviceTensor<double, 1>("lr", 1); });
  const View<float, 1> scale = d.scratch<float>(1);
  for (int64_t t = 0; t < steps; ++t) {
    const View<const float, 1> g = d.in<float, 2>("gradients").row(t);
    const auto& list = d.keep([&] {
      std::vector<View<float, 1>> tensors;
      for (const Part& p : parts(n))
        tensors.push_back(d.out<float, 2>("gradients").row(t).rows(p.begin, p.size));
      return cuda::TensorList(tensors, d.stream());
    });
    cuda::next_step(step, d.stream());
    cuda::learning_rate<double>(schedule_of(d), steps, step, lr, d.stream());
    cuda::global_norm(list, d.number("max_norm"), d.scratch<double>(list.pieces()),
                      d.out<float, 1>("norms").rows(t, 1), scale, d.stream());
    cuda::adamw_coefficients(settings, step, lr, coefficients, d.stream());
    for (const Part& p : parts(n))
      cuda::adamw_mixed_step<T>(
          coefficients, scale, p.decays, g.rows(p.begin, p.size),
          d.out<float, 1>("weight").rows(p.begin, p.size), d.out<float, 1>("m").rows(p.begin, p.size),
          d.out<float, 1>("v").rows(p.begin, p.size), d.out<T, 1>("copy").rows(p.begin, p.size), d.stream());
  }
}

}  // namespace

std::vector<Pair> optimizer_steps_pairs() {
  Pair p("optimizer_steps", "2.3");
  for (const double cosine : {0.0, 1.0})
    for (const double n : {1.0, 301.0, 40000.0})
      p.cases.push_back({{"n", n},
                         {"steps", n > 1000 ? 4.0 : 30.0},
                         {"warmup", 3 - cosine},
                         {"max_lr", 0.01},
                         {"cosine", cosine},
                         {"max_norm", 1}});
  p.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), steps = s.size("steps");
    if (steps < 1) throw ValueError("optimizer_steps", "at least one step", std::to_string(steps));
    // Norms around max_norm: some steps are clipped, some are not.
    std::vector<double> gradients = draw.real(steps * n, s.at("max_norm") / std::sqrt(s.at("n")));
    std::vector<double> v = draw.real(n);
    for (double& x : v) x *= x;
    return {{"gradients", Role::input, {steps, n}, gradients, Kind::wide},
            {"weight", Role::update, {n}, draw.real(n), Kind::wide},
            {"m", Role::update, {n}, draw.real(n), Kind::wide},
            {"v", Role::update, {n}, v, Kind::wide},
            {"copy", Role::output, {n}, {}, Kind::stored},
            {"norms", Role::output, {steps}, {}, Kind::wide}};
  };
  p.truth = reference_steps<double, double>;
  p.candidates = {{"ref float, bf16 copy", DType::f32, DType::bf16, reference_steps<float, bf16>}};
  add_cuda<float, bf16>(p, "without the host", []<class T>(OnDevice& d) { device_steps<T>(d); });
  // The same operations with the same roundings in the same order give the same bits. The one sum, that of the squares, has
  // another order but 53 bits, of which the norm keeps 24.
  p.bounds = [](Call&, Call& truth, double) -> Bounds {
    Bounds bounds;
    for (const char* name : {"weight", "m", "v", "copy", "norms"})
      bounds[name] = each(truth.array(name).size(), [](int64_t) { return 0.0; });
    return bounds;
  };
  p.flops = [](const Numbers& s) { return 17 * s.at("n") * s.at("steps"); };
  p.bench = {{"n", 65536}, {"steps", 4}, {"warmup", 2}, {"max_lr", 0.01}, {"cosine", 1}, {"max_norm", 1}};
  p.bench_on_device = {{"n", 8388608},   {"steps", 4},  {"warmup", 2},
                       {"max_lr", 0.01}, {"cosine", 1}, {"max_norm", 1}};
  return {p};
}

}  // namespace dsllm::tests
