#include <algorithm>

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

struct SortBug {
  bool unstable = false;        // positions of one id in reverse
  bool beyond_is_last = false;  // an id behind the vocabulary is taken for its last one
  bool by_position = false;     // not sorted
};

Run sort(const SortBug& bug) {
  return [bug](Call& c) {
    const auto ids = c.in<int32_t, 1>("ids");
    const auto positions = c.out<int32_t, 1>("positions");
    const int64_t n = ids.size(), vocab = c.size("vocab");
    const auto key = [&](int32_t t) {
      const int64_t id = ids(t);
      if (bug.beyond_is_last) return std::clamp<int64_t>(id, 0, std::max<int64_t>(vocab - 1, 0));
      return id < 0 || id >= vocab ? vocab : id;
    };
    for (int64_t i = 0; i < n; ++i) positions(i) = static_cast<int32_t>(bug.unstable ? n - 1 - i : i);
    if (bug.by_position) return;
    std::stable_sort(positions.data, positions.data + n,
                     [&](int32_t a, int32_t b) { return key(a) < key(b); });
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
      {"embedding_sort", "", sort({})},
      {"embedding_sort", "one id's positions in reverse", sort({.unstable = true})},
      {"embedding_sort", "an id behind the vocabulary is its last", sort({.beyond_is_last = true})},
      {"embedding_sort", "not sorted", sort({.by_position = true})},
  };
}

}  // namespace dsllm::tests
