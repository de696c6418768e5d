#include "tests/judge/bugs/cuda/bugs.hpp"

namespace dsllm::tests {
namespace {

using namespace dsllm::cuda;

enum class Rotation {
  right,
  swapped_layout,
  thread_an_element,  // reads its partner, which another thread may have overwritten where y is x
  wrong_sign,
  position_of_row,  // counts positions on through the sequences of a batch
  first_head_only,  // the angle moves on with the head
};

// A thread takes a pair.
template <class T>
__global__ void rotate(Rotation bug, View<const T, 4> x, View<const float, 2> cos, View<const float, 2> sin,
                       bool halves, View<T, 4> y) {
  const int64_t seq = x.extent[1], heads = x.extent[2], d = x.extent[3], half = d / 2;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= x.size() / 2) return;
  const int64_t i = at % half, row = at / half / heads, head = at / half % heads;
  if (bug == Rotation::swapped_layout) halves = !halves;
  int64_t p = row % seq;
  if (bug == Rotation::position_of_row) p = row % cos.extent[0] == p && row >= seq ? (p + 1) % seq : p;
  if (bug == Rotation::first_head_only) p = (p + head) % seq;
  const float c = cos.data[p * half + i], s = sin.data[p * half + i] * (bug == Rotation::wrong_sign ? -1 : 1);
  const int64_t begin = at / half * d;
  const int64_t first = begin + (halves ? i : 2 * i), second = first + (halves ? half : 1);
  if (bug == Rotation::thread_an_element) {
    y.data[first] = T(float(x.data[first]) * c - float(x.data[second]) * s);
    y.data[second] = T(float(x.data[first]) * s + float(x.data[second]) * c);
    return;
  }
  const float a = x.data[first], b = x.data[second];
  y.data[first] = T(a * c - b * s);
  y.data[second] = T(a * s + b * c);
}

}  // namespace

std::vector<KernelBug> rope_kernel_bugs() {
  std::vector<KernelBug> bugs;
  const auto add = [&](const std::string& name, Rotation bug) {
    plant(bugs, "rope_forward", name, [bug]<class T>(OnDevice& d) {
      const auto x = d.in<T, 4>("x");
      if (x.size() > 0)
        launch(d.stream(), {static_cast<unsigned>(ceil_div<int64_t>(x.size() / 2, 128)), 128}, rotate<T>, bug,
               x, d.in<float, 2>("cos"), d.in<float, 2>("sin"), d.number("halves") != 0, d.out<T, 4>("y"));
    });
  };
  add("", Rotation::right);
  add("the other layout", Rotation::swapped_layout);
  add("in place: reads what it has overwritten", Rotation::thread_an_element);
  add("rotates backward", Rotation::wrong_sign);
  add("another position in the second sequence", Rotation::position_of_row);
  add("positions move on with the head", Rotation::first_head_only);
  return bugs;
}

}  // namespace dsllm::tests
