#include "ref/core/bf16.hpp"
#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

struct ProductBug {
  bool transposed_if_square = false;  // invisible in all other shapes
  bool sums_in_bf16 = false;
  int64_t tile = 1;          // the rest of a sum beyond a whole number of tiles is dropped
  int64_t row_tile = 1;      // the same for rows of the result
  bool accumulates = false;  // where it should overwrite, or the reverse
};

// y = x W^T with W in float or bf16.
template <class W>
Run forward(const ProductBug& bug) {
  return [bug](Call& c) {
    const auto x = c.in<float, 2>("x");
    const auto weight = c.in<W, 2>("weight");
    const auto y = c.out<float, 2>("y");
    const int64_t d_in = weight.extent[1], d_out = weight.extent[0];
    for (int64_t t = 0; t < x.extent[0]; ++t)
      for (int64_t o = 0; o < d_out; ++o) {
        float sum = bug.accumulates ? y(t, o) : 0;
        for (int64_t i = 0; i < d_in / bug.tile * bug.tile; ++i) {
          sum += x(t, i) * (bug.transposed_if_square && d_in == d_out ? weight(i, o) : weight(o, i));
          if (bug.sums_in_bf16) sum = bf16(sum);
        }
        if (t < x.extent[0] / bug.row_tile * bug.row_tile) y(t, o) = sum;
      }
  };
}

Run backward_input(const ProductBug& bug, bool should_accumulate) {
  return [=](Call& c) {
    const auto dy = c.in<float, 2>("dy"), weight = c.in<float, 2>("weight");
    const auto dx = c.out<float, 2>("dx");
    const int64_t d_in = weight.extent[1], d_out = weight.extent[0];
    for (int64_t t = 0; t < dy.extent[0]; ++t)
      for (int64_t i = 0; i < d_in; ++i) {
        float sum = 0;
        for (int64_t o = 0; o < d_out; ++o)
          sum += dy(t, o) * (bug.transposed_if_square && d_in == d_out ? weight(i, o) : weight(o, i));
        dx(t, i) = should_accumulate != bug.accumulates ? dx(t, i) + sum : sum;
      }
  };
}

struct WeightBug {
  bool overwrites = false;
  int64_t tile = 1;  // of tokens
  bool transposed_if_square = false;
  bool doubles = false;
};

Run backward_weight(const WeightBug& bug) {
  return [bug](Call& c) {
    const auto dy = c.in<float, 2>("dy"), x = c.in<float, 2>("x");
    const auto dweight = c.out<float, 2>("dweight");
    const int64_t n = x.extent[0], d_in = x.extent[1], d_out = dy.extent[1];
    for (int64_t o = 0; o < d_out; ++o)
      for (int64_t i = 0; i < d_in; ++i) {
        float sum = 0;
        for (int64_t t = 0; t < n / bug.tile * bug.tile; ++t)
          sum += bug.transposed_if_square && d_in == d_out ? dy(t, i) * x(t, o) : dy(t, o) * x(t, i);
        if (bug.doubles) sum *= 2;
        dweight(o, i) = bug.overwrites ? sum : dweight(o, i) + sum;
      }
  };
}

}  // namespace

std::vector<Bug> linear_bugs() {
  return {
      {"linear_forward", "", forward<float>({})},
      {"linear_forward", "", forward<bf16>({}), DType::bf16},
      {"linear_forward", "weight transposed where square", forward<float>({.transposed_if_square = true})},
      {"linear_forward", "sums in bf16", forward<float>({.sums_in_bf16 = true})},
      {"linear_forward", "bf16 weight: sums in bf16", forward<bf16>({.sums_in_bf16 = true}), DType::bf16},
      {"linear_forward", "drops the rest of d_in beyond 4", forward<float>({.tile = 4})},
      {"linear_forward", "drops the rest of n beyond 16", forward<float>({.row_tile = 16})},
      {"linear_forward", "adds to y", forward<float>({.accumulates = true})},
      {"linear_backward_input", "", backward_input({}, false)},
      {"linear_backward_input", "dx accumulated", backward_input({.accumulates = true}, false)},
      {"linear_backward_input", "weight transposed where square",
       backward_input({.transposed_if_square = true}, false)},
      {"linear_backward_input_accumulate", "", backward_input({}, true)},
      {"linear_backward_input_accumulate", "dx overwritten", backward_input({.accumulates = true}, true)},
      {"linear_backward_weight", "", backward_weight({})},
      {"linear_backward_weight", "dweight overwritten", backward_weight({.overwrites = true})},
      {"linear_backward_weight", "drops the rest of n beyond 2", backward_weight({.tile = 2})},
      {"linear_backward_weight", "transposed where square", backward_weight({.transposed_if_square = true})},
      {"linear_backward_weight", "counts twice", backward_weight({.doubles = true})},
  };
}

}  // namespace dsllm::tests
