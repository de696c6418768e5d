// AdamW, the whole update in one pass (paper, section 2.3).
//
//     m = beta1 m + (1 - beta1) g      v = beta2 v + (1 - beta2) g^2      g = clip_scale * gradient
//     w = w - (step_size m / (sqrt(v) v_scale + eps) + decay w)           copy = w in bf16
//
//     gradient, weight, m, v, copy [n]
//
// Parallel over: elements; each thread takes 4 neighbours of each array with one access of 16 bytes, then the next 4 a grid
// further on.
// FLOPs: 16 n, among them a root and a division.
// Bytes: 16 n read (gradient, weight, m, v), 12 n written (weight, m, v), 2 n for the copy in bf16. The 7B model has 6.9e9
// parameters, so 207 GB or 62 ms of an H100's 3.35 TB/s (its 80 GB do not hold them: a device has its share of them). A kernel
// for the clipping, one for each moment, one for the weights and one for the copy would move 54 n in place of 30 n. (Floors
// by arithmetic.)
// Next: one launch over a list of tensors, as grad_clip.cu has it; each byte moves once already.
// Clipping costs nothing here: the gradient is read anyway, and its factor is one number for all threads.
//
// Bit for bit as on a CPU. nvcc joins a product and a sum into one operation with one rounding, the host does not; __fmul_rn
// and __fadd_rn are never joined. Roots and divisions are rounded correctly on both.
#include <string>

#include <cmath>

#include "cuda/core/kernel.hpp"
#include "cuda/core/vector.hpp"
#include "cuda/train/adamw.hpp"
#include "ref/core/error.hpp"
#include "ref/core/portable_math.hpp"

namespace dsllm::cuda {
namespace {

constexpr int threads = 256, blocks_on_processor = 5;       // 80 KB of loads on their way in each processor
constexpr int64_t most_blocks = 132 * blocks_on_processor;  // an H100 full; each goes on until the arrays end

__global__ void make_coefficients(AdamwSettings s, View<const int32_t, 1> step, View<const double, 1> lr,
                                  View<AdamwCoefficients, 1> coefficients) {
  const int32_t t = step.data[0];
  const double rate = t >= 1 && lr.data[0] >= 0 && lr.data[0] <= 1.7976931348623157e308 ? lr.data[0] : NAN;
  AdamwCoefficients c;
  c.beta1 = static_cast<float>(s.beta1);
  c.one_minus_beta1 = static_cast<float>(1 - s.beta1);
  c.beta2 = static_cast<float>(s.beta2);
  c.one_minus_beta2 = static_cast<float>(1 - s.beta2);
  c.step_size = static_cast<float>(rate / (1 - power(s.beta1, t)));
  c.v_scale = static_cast<float>(1 / sqrt(1 - power(s.beta2, t)));
  c.eps = static_cast<float>(s.eps);
  c.decay = static_cast<float>(rate * s.weight_decay);
  coefficients.data[0] = c;
}

__device__ void update(const AdamwCoefficients& c, float clip_scale, float gradient, float& w, float& m,
                       float& v) {
  const float g = __fmul_rn(clip_scale, gradient);
  m = __fadd_rn(__fmul_rn(c.beta1, m), __fmul_rn(c.one_minus_beta1, g));
  v = __fadd_rn(__fmul_rn(c.beta2, v), __fmul_rn(c.one_minus_beta2, __fmul_rn(g, g)));
  const float root = __fadd_rn(__fmul_rn(__fsqrt_rn(v), c.v_scale), c.eps);
  w = __fsub_rn(w, __fadd_rn(__fmul_rn(c.step_size, __fdiv_rn(m, root)), __fmul_rn(c.decay, w)));
}

// 4 weights as T: 16 bytes of floats, 8 of bf16.
template <class T>
struct alignas(4 * sizeof(T)) Four {
  T element[4];
};

// Width elements a thread at a time. copy may be null.
template <int Width, class T>
__global__ void __launch_bounds__(threads, blocks_on_processor)
    update_all(View<const AdamwCoefficients, 1> coefficients, View<const float, 1> clip_scale, bool decays,
               View<const float, 1> gradient, View<float, 1> weight, View<float, 1> m, View<float, 1> v,
               T* copy) {
  const float scale = clip_scale.data[0];
  const bool skip = std::isnan(scale);
  AdamwCoefficients c = coefficients.data[0];
  if (!decays) c.decay = 0;
  const int64_t n = weight.extent[0], whole = n / Width;  // groups of Width
  const int64_t thread = blockIdx.x * int64_t{blockDim.x} + threadIdx.x,
                all_threads = gridDim.x * int64_t{blockDim.x};
  if constexpr (Width == 4)
    for (int64_t i = thread * 4; i < whole * 4; i += all_threads * 4) {
      const Vector<float> g4 = load16(gradient.data + i);
      Vector<float> w4 = load16(weight.data + i), m4 = load16(m.data + i), v4 = load16(v.data + i);
      Four<T> rounded;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        if (!skip) update(c, scale, g4[k], w4[k], m4[k], v4[k]);
        rounded.element[k] = T(w4[k]);
      }
      if (!skip) {
        store16(weight.data + i, w4);
        store16(m.data + i, m4);
        store16(v.data + i, v4);
      }
      if (copy != nullptr) *reinterpret_cast<Four<T>*>(copy + i) = rounded;
    }
  // All elements, or those after the last group of 4.
  for (int64_t i = (Width == 4 ? whole * 4 : 0) + thread; i < n; i += all_threads) {
    if (!skip) update(c, scale, gradient.data[i], weight.data[i], m.data[i], v.data[i]);
    if (copy != nullptr) copy[i] = T(weight.data[i]);
  }
}

template <class T>
void launch_update(const char* operation, View<const AdamwCoefficients, 1> coefficients,
                   View<const float, 1> clip_scale, bool decays, View<const float, 1> gradient,
                   View<float, 1> weight, View<float, 1> m, View<float, 1> v, T* copy, Stream& stream) {
  const int64_t n = weight.extent[0];
  check_shape(operation, "coefficients", coefficients, {1});
  check_shape(operation, "clip_scale", clip_scale, {1});
  check_shape(operation, "gradient", gradient, {n});
  check_shape(operation, "m", m, {n});
  check_shape(operation, "v", v, {n});
  if (n == 0) return;
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  const bool wide = aligned(gradient.data) && aligned(weight.data) && aligned(m.data) && aligned(v.data) &&
                    reinterpret_cast<uintptr_t>(copy) % sizeof(Four<T>) == 0;
  const int64_t blocks = ceil_div(n, int64_t{threads * (wide ? 4 : 1)});
  launch(stream, {static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks), threads},
         wide ? update_all<4, T> : update_all<1, T>, coefficients, clip_scale, decays, gradient, weight, m, v,
         copy);
}

}  // namespace

void adamw_coefficients(const AdamwSettings& settings, View<const int32_t, 1> step, View<const double, 1> lr,
                        View<AdamwCoefficients, 1> coefficients, Stream& stream) {
  check_shape("adamw_coefficients", "step", step, {1});
  check_shape("adamw_coefficients", "lr", lr, {1});
  check_shape("adamw_coefficients", "coefficients", coefficients, {1});
  settings.validate("adamw_coefficients");
  // An eps that rounds to 0 would divide 0 by 0 where no gradient has been.
  if (!(static_cast<float>(settings.eps) > 0))
    throw ValueError("adamw_coefficients", "eps > 0 as a float", std::to_string(settings.eps));
  launch(stream, {1, 1}, make_coefficients, settings, step, lr, coefficients);
}

void adamw_step(View<const AdamwCoefficients, 1> coefficients, View<const float, 1> clip_scale, bool decays,
                View<const float, 1> gradient, View<float, 1> weight, View<float, 1> m, View<float, 1> v,
                Stream& stream) {
  launch_update<float>("adamw_step", coefficients, clip_scale, decays, gradient, weight, m, v, nullptr,
                       stream);
}

template <class T>
void adamw_mixed_step(View<const AdamwCoefficients, 1> coefficients, View<const float, 1> clip_scale,
                      bool decays, View<const float, 1> gradient, View<float, 1> weight, View<float, 1> m,
                      View<float, 1> v, View<T, 1> copy, Stream& stream) {
  check_shape("adamw_mixed_step", "copy", copy, {weight.extent[0]});
  launch_update<T>("adamw_mixed_step", coefficients, clip_scale, decays, gradient, weight, m, v, copy.data,
                   stream);
}

#define DSLLM_INSTANTIATE(T)                                                                              \
  template void adamw_mixed_step<T>(View<const AdamwCoefficients, 1>, View<const float, 1>, bool,         \
                                    View<const float, 1>, View<float, 1>, View<float, 1>, View<float, 1>, \
                                    View<T, 1>, Stream&);
DSLLM_INSTANTIATE(float)
DSLLM_INSTANTIATE(bf16)
#undef DSLLM_INSTANTIATE

}  // namespace dsllm::cuda
