#include "cuda/core/reduce.hpp"
#include "tests/judge/bugs/cuda/bugs.hpp"

namespace dsllm::tests {
namespace {

using namespace dsllm::cuda;

constexpr int threads = 64, warps = threads / 32;

// ---- forward: a block takes rows, its threads the columns ----

enum class Forward {
  right,
  no_barrier,         // between the warps' sums and those who read them
  no_second_barrier,  // before the next row overwrites them
  half_a_mask,        // shuffles that name lanes 0 .. 15
  half_a_warp,        // the butterfly leaves out a step
  idle_warp,          // a warp without columns leaves no sum, but its place is read
  early_return,       // threads beyond the row are gone before the barrier
  no_tail,            // only whole strides of columns
  sums_in_bf16,
  wrong_stride,   // rows of y begin at multiples of 4 elements
  one_warp,       // the statistic is the sum of warp 0
  keeps_inverse,  // in the first element of the weight, an input
};

template <class T>
__global__ void normalize(Forward bug, View<const T, 2> x, View<const T, 1> weight, float eps, View<T, 2> y,
                          View<float, 1> inv_rms) {
  __shared__ float part[warps];
  const int64_t n = x.extent[0], d = x.extent[1];
  const int64_t end = bug == Forward::no_tail ? d / threads * threads : d;
  if (bug == Forward::early_return && threadIdx.x >= d) return;
  for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
    float sum = 0;
    for (int64_t j = threadIdx.x; j < end; j += threads) {
      sum += float(x.data[t * d + j]) * float(x.data[t * d + j]);
      if (bug == Forward::sums_in_bf16) sum = bf16(sum);
    }
    const unsigned mask = bug == Forward::half_a_mask ? 0xffffu : 0xffffffffu;
    for (int distance = bug == Forward::half_a_warp ? 8 : 16; distance > 0; distance /= 2)
      sum += __shfl_xor_sync(mask, sum, distance);
    const bool leaves_sum = bug != Forward::idle_warp || threadIdx.x / 32 * 32 < d;
    if (threadIdx.x % 32 == 0 && leaves_sum) part[threadIdx.x / 32] = sum;
    if (bug != Forward::no_barrier) __syncthreads();
    float total = 0;
    for (int w = 0; w < (bug == Forward::one_warp ? 1 : warps); ++w) total += part[w];
    if (bug != Forward::no_second_barrier) __syncthreads();
    const float inv = 1 / sqrtf(total / static_cast<float>(d) + eps);
    const int64_t row = t * (bug == Forward::wrong_stride ? (d + 3) / 4 * 4 : d);
    for (int64_t j = threadIdx.x; j < d; j += threads)
      y.data[row + j] = T(float(x.data[t * d + j]) * inv * float(weight.data[j]));
    if (threadIdx.x == 0) inv_rms.data[t] = inv;
    if (bug == Forward::keeps_inverse && d == 1 && t == n - 1 && threadIdx.x == 0)
      const_cast<T*>(weight.data)[0] = T(inv);
  }
}

void forward(std::vector<KernelBug>& bugs, const std::string& name, Forward bug) {
  plant(bugs, "rmsnorm_forward", name, [bug]<class T>(OnDevice& d) {
    if (d.size("n") > 0)
      launch(d.stream(), {3, threads}, normalize<T>, bug, d.in<T, 2>("x"), d.in<T, 1>("weight"),
             static_cast<float>(d.number("eps")), d.out<T, 2>("y"), d.out<float, 1>("inv_rms"));
  });
}

// ---- backward: dx by rows, dweight by parts of the rows, which the last block adds up ----

enum class Backward {
  right,
  lost_update,      // parts are added to dweight by read and write, with other threads in between
  overwrites,       // dweight, where it should accumulate
  last_part_lost,   // one part too few is added up
  no_reset,         // the count of finished blocks stays, so that a second launch finds no last block
  too_early,        // the block before the last adds up
  dx_without_mean,  // over d
};

constexpr int parts = 4;
unsigned finished = 0;  // a __device__ variable

template <class T>
__global__ void gradients(Backward bug, View<const T, 2> dy, View<const T, 2> x, View<const T, 1> weight,
                          View<const float, 1> inv_rms, View<T, 2> dx, View<float, 1> dweight,
                          View<float, 2> partial) {
  const int64_t n = x.extent[0], d = x.extent[1];
  for (int64_t j = threadIdx.x; j < d; j += threads) {
    float sum = 0;
    for (int64_t t = blockIdx.x; t < n; t += parts)
      sum += float(dy.data[t * d + j]) * float(x.data[t * d + j]) * inv_rms.data[t];
    partial.data[blockIdx.x * d + j] = sum;
  }
  for (int64_t t = blockIdx.x; t < n; t += parts) {
    float sum = 0;
    for (int64_t j = threadIdx.x; j < d; j += threads)
      sum += float(dy.data[t * d + j]) * float(weight.data[j]) * float(x.data[t * d + j]);
    sum = block_sum<threads>(sum);
    const float inv = inv_rms.data[t];
    const float back = inv * inv * inv * sum / (bug == Backward::dx_without_mean ? 1 : static_cast<float>(d));
    for (int64_t j = threadIdx.x; j < d; j += threads)
      dx.data[t * d + j] =
          T(inv * float(dy.data[t * d + j]) * float(weight.data[j]) - float(x.data[t * d + j]) * back);
  }
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    const unsigned before = atomicAdd(&finished, 1u);
    is_last = before == (bug == Backward::too_early ? parts - 2 : parts - 1);
    if (before == parts - 1 && bug != Backward::no_reset) finished = 0;
  }
  __syncthreads();
  if (!is_last) return;
  if (bug == Backward::lost_update) {  // a warp for each part
    for (int64_t j = threadIdx.x % 32; j < d; j += 32)
      for (int p = static_cast<int>(threadIdx.x) / 32; p < parts; p += warps) {
        const float old = dweight.data[j];
        __syncwarp(__activemask());
        dweight.data[j] = old + partial.data[p * d + j];
      }
    return;
  }
  for (int64_t j = threadIdx.x; j < d; j += threads) {
    float sum = bug == Backward::overwrites ? 0 : dweight.data[j];
    for (int p = 0; p < parts - (bug == Backward::last_part_lost ? 1 : 0); ++p)
      sum += partial.data[p * d + j];
    dweight.data[j] = sum;
  }
}

void backward(std::vector<KernelBug>& bugs, const std::string& name, Backward bug) {
  plant(bugs, "rmsnorm_backward", name, [bug]<class T>(OnDevice& d) {
    if (bug != Backward::no_reset) finished = 0;  // of another bug's launches
    launch(d.stream(), {parts, threads}, gradients<T>, bug, d.in<T, 2>("dy"), d.in<T, 2>("x"),
           d.in<T, 1>("weight"), d.in<float, 1>("inv_rms"), d.out<T, 2>("dx"), d.out<float, 1>("dweight"),
           d.scratch<float>(parts, d.size("d")));
  });
}

}  // namespace

std::vector<KernelBug> rmsnorm_kernel_bugs() {
  std::vector<KernelBug> bugs;
  forward(bugs, "", Forward::right);
  forward(bugs, "no barrier before the sums are read", Forward::no_barrier);
  forward(bugs, "no barrier before the next row's sums", Forward::no_second_barrier);
  forward(bugs, "shuffle with half a mask", Forward::half_a_mask);
  forward(bugs, "butterfly over half a warp", Forward::half_a_warp);
  forward(bugs, "an idle warp's sum is not initialized", Forward::idle_warp);
  forward(bugs, "threads return before a barrier", Forward::early_return);
  forward(bugs, "ragged end of the row left out", Forward::no_tail);
  forward(bugs, "sums in bf16", Forward::sums_in_bf16);
  forward(bugs, "wrong stride of y", Forward::wrong_stride);
  forward(bugs, "the sum of one warp", Forward::one_warp);
  forward(bugs, "an input is changed", Forward::keeps_inverse);
  backward(bugs, "", Backward::right);
  backward(bugs, "lost update of dweight", Backward::lost_update);
  backward(bugs, "dweight overwritten", Backward::overwrites);
  backward(bugs, "the last part is left out", Backward::last_part_lost);
  backward(bugs, "a counter that only the first launch finds at 0", Backward::no_reset);
  backward(bugs, "adds up before the last block is done", Backward::too_early);
  backward(bugs, "sum in place of mean", Backward::dx_without_mean);
  return bugs;
}

}  // namespace dsllm::tests
