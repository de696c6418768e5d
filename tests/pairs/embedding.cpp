#include "ref/model/embedding.hpp"

#include "ref/core/tensor.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

template <class T, class W>
void forward(Call& c) {
  ref::embedding_forward<T, W>(c.in<int32_t, 1>("ids"), c.in<W, 2>("weight"), c.out<T, 2>("y"));
}

template <class T>
void backward(Call& c) {
  ref::embedding_backward<T>(c.in<int32_t, 1>("ids"), c.in<T, 2>("dy"), c.out<T, 2>("dweight"));
}

// Some with few ids, so that they repeat.
const std::vector<Numbers> cases = {
    {{"n", 0}, {"vocab", 5}, {"d", 4}},   {{"n", 1}, {"vocab", 1}, {"d", 1}},
    {{"n", 13}, {"vocab", 7}, {"d", 5}},  {{"n", 7}, {"vocab", 31}, {"d", 64}},
    {{"n", 65}, {"vocab", 3}, {"d", 17}}, {{"n", 4}, {"vocab", 9}, {"d", 0}}};

}  // namespace

std::vector<Pair> embedding_pairs() {
  Pair f("embedding_forward", "2.2");
  f.cases = cases;
  f.styles = {Style::wide};
  f.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), vocab = s.size("vocab"), d = s.size("d");
    return {{"ids", Role::input, {n}, draw.index(n, 0, vocab - 1), Kind::index},
            {"weight", Role::input, {vocab, d}, draw.real(vocab * d), Kind::stored},
            {"y", Role::output, {n, d}}};
  };
  f.truth = forward<double, double>;
  f.candidates = {{"ref float", DType::f32, DType::f32, forward<float, float>},
                  {"ref float, bf16 weight", DType::f32, DType::bf16, forward<float, bf16>}};
  // A copy is exact.
  f.bounds = [](Call&, Call& truth, double) -> Bounds {
    return {{"y", each(truth.array("y").size(), [](int64_t) { return 0.0; })}};
  };
  f.flops = [](const Numbers&) { return 0.0; };
  f.bench = {{"n", 512}, {"vocab", 4096}, {"d", 1024}};
  f.bench_on_device = {{"n", 16384}, {"vocab", 32768}, {"d", 1024}};

  Pair b("embedding_backward", "2.2");
  b.cases = cases;
  b.styles = {Style::normal, Style::wide, Style::integers};
  b.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n"), vocab = s.size("vocab"), d = s.size("d");
    return {{"ids", Role::input, {n}, draw.index(n, 0, vocab - 1), Kind::index},
            {"dy", Role::input, {n, d}, draw.real(n * d)},
            {"dweight", Role::update, {vocab, d}, draw.real(vocab * d), Kind::wide}};
  };
  b.truth = backward<double>;
  b.candidates = {{"ref float", DType::f32, DType::f32, backward<float>}};
  // A sum of at most n rows and of what was there.
  b.bounds = [](Call& before, Call&, double eps) -> Bounds {
    const auto ids = before.in<int32_t, 1>("ids");
    const auto dy = before.in<double, 2>("dy"), dweight = before.in<double, 2>("dweight");
    Tensor<double, 2> gauge = Tensor<double, 2>::like(dweight);
    for (int64_t i = 0; i < gauge.size(); ++i) gauge.data[i] = std::abs(dweight.data[i]);
    for (int64_t t = 0; t < dy.extent[0]; ++t)
      for (int64_t j = 0; j < dy.extent[1]; ++j) gauge(ids(t), j) += std::abs(dy(t, j));
    const double units = sum_of(dy.extent[0] + 1);
    return {{"dweight", each(gauge.size(), [&](int64_t i) { return eps * units * gauge.data[i]; })}};
  };
  b.flops = [](const Numbers& s) { return s.at("n") * s.at("d"); };
  b.bench = {{"n", 512}, {"vocab", 4096}, {"d", 1024}};
  b.bench_on_device = {{"n", 16384}, {"vocab", 32768}, {"d", 1024}};
  return {f, b};
}

}  // namespace dsllm::tests
