#include "cuda/core/reduce.hpp"
#include "tests/judge/bugs/cuda/bugs.hpp"

namespace dsllm::tests {
namespace {

using namespace dsllm::cuda;

constexpr int threads = 128, blocks = 5;

enum class Clip {
  right,
  adds_to_leftovers,  // the total is not set to 0 before a launch adds to it
  scratch_not_set,    // partial sums are added to what lies in the working memory
  blocks_missing,     // partial sums of the first warp's lanes only
  always_scales,      // also a gradient whose norm is small
  no_root,
};

float leftover = 0;  // a __device__ variable

__global__ void partial_sums(Clip bug, View<const float, 1> g, View<float, 1> partial) {
  float sum = 0;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x; i < g.extent[0];
       i += threads * blocks)
    sum += g.data[i] * g.data[i];
  sum = block_sum<threads>(sum);
  if (threadIdx.x != 0) return;
  if (bug == Clip::adds_to_leftovers) atomicAdd(&leftover, sum);
  partial.data[blockIdx.x] = (bug == Clip::scratch_not_set ? partial.data[blockIdx.x] : 0) + sum;
}

__global__ void clip(Clip bug, View<float, 1> g, View<const float, 1> partial, float max_norm,
                     View<float, 1> norm) {
  float sum = 0;
  for (int b = 0; b < (bug == Clip::blocks_missing ? blocks - 1 : blocks); ++b) sum += partial.data[b];
  if (bug == Clip::adds_to_leftovers) sum = leftover;
  const float total = bug == Clip::no_root ? sum : sqrtf(sum);
  if (blockIdx.x == 0 && threadIdx.x == 0) norm.data[0] = total;
  if (total <= max_norm && bug != Clip::always_scales) return;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x; i < g.extent[0];
       i += threads * blocks)
    g.data[i] *= max_norm / total;
}

}  // namespace

std::vector<KernelBug> grad_clip_kernel_bugs() {
  std::vector<KernelBug> bugs;
  const auto add = [&](const std::string& name, Clip bug) {
    Candidate c = cuda_candidate<float>("", [bug]<class T>(OnDevice& d) {
      const auto partial = d.scratch<float>(blocks);
      launch(d.stream(), {blocks, threads}, partial_sums, bug, d.in<T, 1>("gradient"), partial);
      launch(d.stream(), {blocks, threads}, clip, bug, d.out<T, 1>("gradient"), partial,
             static_cast<float>(d.number("max_norm")), d.out<T, 1>("norm"));
    });
    c.name = name;
    bugs.push_back({"grad_clip", std::move(c)});
  };
  add("", Clip::right);
  add("a second launch adds to the first one's sum", Clip::adds_to_leftovers);
  add("working memory is not initialized", Clip::scratch_not_set);
  add("the last block's sum is left out", Clip::blocks_missing);
  add("scales a gradient below the limit", Clip::always_scales);
  add("no root", Clip::no_root);
  return bugs;
}

}  // namespace dsllm::tests
