#include "cuda/core/reduce.hpp"
#include "ref/model/cross_entropy.hpp"
#include "tests/judge/bugs/cuda/bugs.hpp"

namespace dsllm::tests {
namespace {

using namespace dsllm::cuda;

constexpr int threads = 64;

enum class Loss {
  right,
  target_read_late,   // by thread 0, when its owner has overwritten it with the gradient
  no_rescale,         // threads' sums are joined as if all had the same maximum
  ignored_row_kept,   // logits of an ignored position stay
  maximum_of_a_warp,  // for the sums of all
};

// A block takes a row: maximum and sum in one pass, then the gradient in place.
template <class T>
__global__ void loss_and_gradient(Loss bug, View<T, 2> logits, View<const int32_t, 1> targets, float scale,
                                  View<float, 1> losses) {
  const int64_t vocab = logits.extent[1];
  const int64_t t = blockIdx.x;
  T* row = logits.data + t * vocab;
  const int32_t target = targets.data[t];
  if (target == ref::ignored_target) {
    if (bug != Loss::ignored_row_kept)
      for (int64_t j = threadIdx.x; j < vocab; j += threads) row[j] = T(0.0f);
    if (threadIdx.x == 0) losses.data[t] = 0;
    return;
  }
  float max = -3e38f, sum = 0;
  for (int64_t j = threadIdx.x; j < vocab; j += threads) {
    const float z = row[j], larger = z > max ? z : max;
    sum = sum * expf(max - larger) + expf(z - larger);
    max = larger;
  }
  const float target_logit = row[target];
  const float row_max = bug == Loss::maximum_of_a_warp ? warp_max(max) : block_max<threads>(max);
  const float row_sum = block_sum<threads>(bug == Loss::no_rescale ? sum : sum * expf(max - row_max));
  if (bug != Loss::target_read_late && threadIdx.x == 0)
    losses.data[t] = logf(row_sum) - (target_logit - row_max);
  for (int64_t j = threadIdx.x; j < vocab; j += threads)
    row[j] = T(scale * (expf(float(row[j]) - row_max) / row_sum - (j == target ? 1.0f : 0.0f)));
  if (bug == Loss::target_read_late && threadIdx.x == 0)
    losses.data[t] = logf(row_sum) - (float(row[target]) - row_max);
}

}  // namespace

std::vector<KernelBug> cross_entropy_kernel_bugs() {
  std::vector<KernelBug> bugs;
  const auto add = [&](const std::string& name, Loss bug) {
    plant(bugs, "cross_entropy_forward_backward", name, [bug]<class T>(OnDevice& d) {
      if (d.size("n") > 0)
        launch(d.stream(), {static_cast<unsigned>(d.size("n")), threads}, loss_and_gradient<T>, bug,
               d.out<T, 2>("logits"), d.in<int32_t, 1>("targets"), static_cast<float>(d.number("scale")),
               d.out<float, 1>("losses"));
    });
  };
  add("", Loss::right);
  add("the target's logit is read as a gradient", Loss::target_read_late);
  add("online: sums joined without their maxima", Loss::no_rescale);
  add("the maximum of one warp", Loss::maximum_of_a_warp);
  add("an ignored position keeps its logits", Loss::ignored_row_kept);
  return bugs;
}

}  // namespace dsllm::tests
