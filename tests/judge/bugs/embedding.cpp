#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

Run forward(int64_t shift) {
  return [shift](Call& c) {
    const auto ids = c.in<int32_t, 1>("ids");
    const auto weight = c.in<float, 2>("weight");
    const auto y = c.out<float, 2>("y");
    for (int64_t t = 0; t < y.extent[0]; ++t)
      for (int64_t j = 0; j < y.extent[1]; ++j) y(t, j) = weight((ids(t) + shift) % weight.extent[0], j);
  };
}

struct BackwardBug {
  bool last_one_wins = false;     // repeated ids overwrite each other
  bool starts_from_zero = false;  // loses what dweight held
};

Run backward(const BackwardBug& bug) {
  return [bug](Call& c) {
    const auto ids = c.in<int32_t, 1>("ids");
    const auto dy = c.in<float, 2>("dy");
    const auto dweight = c.out<float, 2>("dweight");
    const std::vector<float> before(dweight.data, dweight.data + dweight.size());
    const int64_t d = dy.extent[1];
    if (bug.starts_from_zero) std::fill_n(dweight.data, dweight.size(), 0.0f);
    for (int64_t t = 0; t < dy.extent[0]; ++t)
      for (int64_t j = 0; j < d; ++j)
        dweight(ids(t), j) =
            (bug.last_one_wins ? before[static_cast<size_t>(ids(t) * d + j)] : dweight(ids(t), j)) + dy(t, j);
  };
}

}  // namespace

std::vector<Bug> embedding_bugs() {
  return {
      {"embedding_forward", "", forward(0)},
      {"embedding_forward", "the row after", forward(1)},
      {"embedding_backward", "", backward({})},
      {"embedding_backward", "repeated ids: the last one wins", backward({.last_one_wins = true})},
      {"embedding_backward", "dweight overwritten", backward({.starts_from_zero = true})},
  };
}

}  // namespace dsllm::tests
