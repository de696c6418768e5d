#include "cuda/core/vector.hpp"
#include "tests/judge/bugs/cuda/bugs.hpp"

namespace dsllm::tests {
namespace {

using namespace dsllm::cuda;

enum class Gate {
  right,
  no_tail,       // what does not fill 16 bytes is left out
  past_the_end,  // the last vector is written whole
  misaligned,    // vectors where a row begins, which may be anywhere
  swapped,       // up is the gate
};

template <class T>
__device__ float gated(Gate bug, float gate, float up) {
  if (bug == Gate::swapped) return gate * up / (1 + expf(-up));
  return gate * up / (1 + expf(-gate));
}

// A block takes a row.
template <class T>
__global__ void swiglu(Gate bug, View<const T, 2> gate, View<const T, 2> up, View<T, 2> y) {
  constexpr int size = Vector<T>::size;
  const int64_t d = y.extent[1], row = blockIdx.x * d;
  const bool aligned = row % size == 0 || bug == Gate::misaligned;
  int64_t whole = aligned ? d / size * size : 0;
  if (bug == Gate::past_the_end && aligned) whole = (d + size - 1) / size * size;
  for (int64_t j = threadIdx.x * size; j < whole; j += blockDim.x * size) {
    const Vector<T> g = load16(gate.data + row + j), u = load16(up.data + row + j);
    Vector<T> out;
    for (int l = 0; l < size; ++l) out[l] = T(gated<T>(bug, g[l], u[l]));
    store16(y.data + row + j, out);
  }
  if (bug == Gate::no_tail) return;
  for (int64_t j = whole + threadIdx.x; j < d; j += blockDim.x)
    y.data[row + j] = T(gated<T>(bug, gate.data[row + j], up.data[row + j]));
}

}  // namespace

std::vector<KernelBug> swiglu_kernel_bugs() {
  std::vector<KernelBug> bugs;
  const auto add = [&](const std::string& name, Gate bug) {
    plant(bugs, "swiglu_forward", name, [bug]<class T>(OnDevice& d) {
      const auto y = d.out<T, 2>("y");
      if (y.size() > 0)
        launch(d.stream(), {static_cast<unsigned>(y.extent[0]), 64}, swiglu<T>, bug, d.in<T, 2>("gate"),
               d.in<T, 2>("up"), y);
    });
  };
  add("", Gate::right);
  add("16 bytes at a time: no tail", Gate::no_tail);
  add("16 bytes at a time: past the end", Gate::past_the_end);
  add("16 bytes at a time: misaligned rows", Gate::misaligned);
  add("gate and up swapped", Gate::swapped);
  return bugs;
}

}  // namespace dsllm::tests
