#include "cuda/core/kernel.hpp"
#include "ref/core/portable_math.hpp"
#include "ref/core/settings.hpp"
#include "tests/judge/bugs/cuda/bugs.hpp"

namespace dsllm::tests {
namespace {

using namespace dsllm::cuda;

enum class Rate {
  right,
  warmup_from_zero,  // the first step has the rate 0
  drop_too_early,    // a stage begins with the step at its fraction, not after it
  first_drop_only,
  cosine_to_next,  // ends a step after the run
  in_float,
  no_tail,  // only whole warps of steps
};

// The paper's two drops, and the cosine down to a tenth (ref/train/lr_schedule.hpp).
__global__ void rates(Rate bug, bool cosine, double max_lr, int64_t warmup, int64_t total,
                      View<const int32_t, 1> steps, View<float, 1> out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t n = bug == Rate::no_tail ? steps.extent[0] / 32 * 32 : steps.extent[0];
  if (i >= n) return;
  const int64_t s = steps.data[i];
  if (s <= warmup) {
    const int64_t done = bug == Rate::warmup_from_zero ? s - 1 : s;
    if (bug == Rate::in_float)
      out.data[i] = static_cast<float>(max_lr) * static_cast<float>(done) / static_cast<float>(warmup);
    else
      out.data[i] = static_cast<float>(max_lr * static_cast<double>(done) / static_cast<double>(warmup));
    return;
  }
  if (cosine) {
    const int64_t end = bug == Rate::cosine_to_next ? total + 1 : total;
    const double wave = (1 + cos_pi(static_cast<double>(s - warmup) / static_cast<double>(end - warmup))) / 2;
    out.data[i] = static_cast<float>(max_lr * (0.1 + 0.9 * wave));
    return;
  }
  const int64_t early = bug == Rate::drop_too_early ? 1 : 0;
  double factor = 1;
  if (s + early > steps_before(0.8, total)) factor = sqrt(0.1);
  if (s + early > steps_before(0.9, total) && bug != Rate::first_drop_only) factor = 0.1;
  out.data[i] = static_cast<float>(max_lr * factor);
}

}  // namespace

std::vector<KernelBug> lr_schedule_kernel_bugs() {
  std::vector<KernelBug> bugs;
  const auto add = [&](const std::string& name, Rate bug) {
    Candidate c = cuda_candidate<float>("", [bug]<class T>(OnDevice& d) {
      const int64_t n = d.size("total");
      launch(d.stream(), {static_cast<unsigned>(ceil_div<int64_t>(n, 64)), 64}, rates, bug,
             d.number("cosine") != 0, d.number("max_lr"), d.size("warmup"), n, d.in<int32_t, 1>("steps"),
             d.out<T, 1>("rates"));
    });
    c.name = name;
    bugs.push_back({"learning_rate", std::move(c)});
  };
  add("", Rate::right);
  add("warm-up from 0", Rate::warmup_from_zero);
  add("a drop one step early", Rate::drop_too_early);
  add("only the first drop", Rate::first_drop_only);
  add("cosine to the step after the last", Rate::cosine_to_next);
  add("warm-up in float", Rate::in_float);
  add("ragged end left out", Rate::no_tail);
  return bugs;
}

}  // namespace dsllm::tests
