#include "ref/model/engine.hpp"
#include "tests/judge/bugs/cuda/bugs.hpp"

namespace dsllm::tests {
namespace {

using namespace dsllm::cuda;

enum class Step {
  right,
  one_step_late,  // the bias correction of the step before
  no_tail,        // only whole groups of four
  bf16_moments,
  old_copy,        // the copy is written before the update
  copy_is_master,  // the next step would begin with the rounded weight
};

__global__ void update(Step bug, View<const float, 1> gradient, View<float, 1> weight, View<float, 1> m,
                       View<float, 1> v, View<bf16, 1> copy, AdamwSettings s, float lr, float step,
                       float decay) {
  const int64_t n = bug == Step::no_tail ? weight.extent[0] / 4 * 4 : weight.extent[0];
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const double t = static_cast<double>(step) - (bug == Step::one_step_late ? 1 : 0), g = gradient.data[i];
  float mi = static_cast<float>(s.beta1 * m.data[i] + (1 - s.beta1) * g);
  if (bug == Step::bf16_moments) mi = bf16(mi);
  const float vi = static_cast<float>(s.beta2 * v.data[i] + (1 - s.beta2) * g * g);
  const double m_hat = mi / (1 - pow(s.beta1, t)), v_hat = vi / (1 - pow(s.beta2, t)), w = weight.data[i];
  float updated = static_cast<float>(w - lr * (m_hat / (sqrt(v_hat) + s.eps) + decay * w));
  copy.data[i] = bf16(bug == Step::old_copy ? weight.data[i] : updated);
  if (bug == Step::copy_is_master) updated = copy.data[i];
  m.data[i] = mi, v.data[i] = vi, weight.data[i] = updated;
}

}  // namespace

std::vector<KernelBug> adamw_kernel_bugs() {
  std::vector<KernelBug> bugs;
  const auto add = [&](const std::string& name, Step bug) {
    // The copy in bf16, all else in float.
    Candidate c = cuda_candidate<bf16>("", [bug]<class T>(OnDevice& d) {
      const int64_t n = d.size("n");
      if (n > 0)
        launch(d.stream(), {static_cast<unsigned>(ceil_div<int64_t>(n, 128)), 128}, update, bug,
               d.in<float, 1>("gradient"), d.out<float, 1>("weight"), d.out<float, 1>("m"),
               d.out<float, 1>("v"), d.out<T, 1>("copy"), AdamwSettings(), static_cast<float>(d.number("lr")),
               static_cast<float>(d.number("step")), static_cast<float>(d.number("weight_decay")));
    });
    c.name = name;
    bugs.push_back({"adamw_mixed_step", std::move(c)});
  };
  add("", Step::right);
  add("schedule off by one step", Step::one_step_late);
  add("ragged end left out", Step::no_tail);
  add("moments in bf16", Step::bf16_moments);
  add("stale copy", Step::old_copy);
  add("the master takes the copy's rounding", Step::copy_is_master);
  return bugs;
}

}  // namespace dsllm::tests
