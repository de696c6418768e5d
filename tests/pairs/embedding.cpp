#include "ref/model/embedding.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include "cuda/model/embedding.hpp"
#include "ref/core/tensor.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/on_device.hpp"
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

// Unknown ids have one bucket, the last.
void sort_positions(Call& c) {
  const auto ids = c.in<int32_t, 1>("ids");
  const auto positions = c.out<int32_t, 1>("positions");
  const int64_t vocab = c.size("vocab");
  const auto bucket = [&](int32_t t) { return ids(t) < 0 || ids(t) >= vocab ? vocab : ids(t); };
  std::iota(positions.data, positions.data + positions.size(), 0);
  std::stable_sort(positions.data, positions.data + positions.size(),
                   [&](int32_t a, int32_t b) { return bucket(a) < bucket(b); });
}

// Some with few ids, so that they repeat, within a piece of the sorted kernel and over several; rows of whole 16 bytes, and such
// as take more than one block or more than one step of it.
const std::vector<Numbers> cases = {
    {{"n", 0}, {"vocab", 5}, {"d", 4}},        {{"n", 1}, {"vocab", 1}, {"d", 1}},
    {{"n", 13}, {"vocab", 7}, {"d", 5}},       {{"n", 7}, {"vocab", 31}, {"d", 64}},
    {{"n", 65}, {"vocab", 3}, {"d", 17}},      {{"n", 4}, {"vocab", 9}, {"d", 0}},
    {{"n", 97}, {"vocab", 1}, {"d", 8}},       {{"n", 200}, {"vocab", 2}, {"d", 24}},
    {{"n", 33}, {"vocab", 1030}, {"d", 4104}}, {{"n", 40}, {"vocab", 5}, {"d", 1027}},
    {{"n", 1100}, {"vocab", 300}, {"d", 16}},  {{"n", 1100}, {"vocab", 1}, {"d", 3}}};

// Of the table only the rows whose ids occur, `times` each, and all of ids and of the activations.
int64_t bytes_of_rows(Call& c, const char* table, int64_t times, const char* activations) {
  const auto bytes = [](GuardedArray& a, int64_t elements) { return elements * describe(a.dtype()).size; };
  GuardedArray &ids = c.array("ids"), &rows = c.array(table), &dense = c.array(activations);
  const std::vector<double> values = ids.get_all();
  const auto distinct = static_cast<int64_t>(std::set<double>(values.begin(), values.end()).size());
  return bytes(ids, ids.size()) + times * bytes(rows, distinct * c.size("d")) + bytes(dense, dense.size());
}

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
  add_cuda<float, bf16>(f, "1 rows", []<class T>(OnDevice& d) {
    cuda::embedding_forward<T>(d.in<int32_t, 1>("ids"), d.in<T, 2>("weight"), d.out<T, 2>("y"), d.stream());
  });
  // A copy is exact.
  f.bounds = [](Call&, Call& truth, double) -> Bounds {
    return {{"y", each(truth.array("y").size(), [](int64_t) { return 0.0; })}};
  };
  f.flops = [](const Numbers&) { return 0.0; };
  f.bytes = [](Call& c) { return bytes_of_rows(c, "weight", 1, "y"); };
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
  add_cuda<float, bf16>(b, "2 atomics",
                        []<class T>(OnDevice& d) {
                          cuda::embedding_backward_atomics<T>(d.in<int32_t, 1>("ids"), d.in<T, 2>("dy"),
                                                              d.out<float, 2>("dweight"), d.stream());
                        },
                        {.deterministic = false});
  add_cuda<float, bf16>(b, "4 sorted", []<class T>(OnDevice& d) {
    const int64_t n = d.size("n"), vocab = d.size("vocab");
    cuda::embedding_backward<T>(d.in<int32_t, 1>("ids"), d.in<T, 2>("dy"), d.out<float, 2>("dweight"),
                                d.scratch<int32_t>(n),
                                d.scratch<int32_t>(cuda::embedding_sort_scratch(n, vocab)),
                                d.scratch<float>(cuda::embedding_pieces(n), 2, d.size("d")), d.stream());
  });
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
  b.bytes = [](Call& c) { return bytes_of_rows(c, "dweight", 2, "dy"); };
  b.bench = {{"n", 512}, {"vocab", 4096}, {"d", 1024}};
  b.bench_on_device = {{"n", 16384}, {"vocab", 32768}, {"d", 1024}};

  // The order in which the sorted kernel adds. Ids just outside of the vocabulary, too; buckets as many as one tile of
  // the scan holds, one more, and many tiles.
  Pair s("embedding_sort", "2.2");
  s.cases = {{{"n", 0}, {"vocab", 5}},       {{"n", 1}, {"vocab", 1}},       {{"n", 33}, {"vocab", 4}},
             {{"n", 300}, {"vocab", 1}},     {{"n", 700}, {"vocab", 1023}},  {{"n", 700}, {"vocab", 1024}},
             {{"n", 1200}, {"vocab", 5000}}, {{"n", 50}, {"vocab", 102400}}, {{"n", 9}, {"vocab", 0}}};
  s.arguments = [](const Numbers& numbers, Draw& draw) -> std::vector<Argument> {
    const int64_t n = numbers.size("n"), vocab = numbers.size("vocab");
    return {{"ids", Role::input, {n}, draw.index(n, -1, vocab), Kind::index},
            {"positions", Role::output, {n}, {}, Kind::index}};
  };
  s.truth = sort_positions;
  s.candidates = {cuda_candidate<float>("3 sort", []<class T>(OnDevice& d) {
    const int64_t n = d.size("n"), vocab = d.size("vocab");
    cuda::embedding_sort(d.in<int32_t, 1>("ids"), vocab, d.out<int32_t, 1>("positions"),
                         d.scratch<int32_t>(cuda::embedding_sort_scratch(n, vocab)), d.stream());
  })};
  s.bounds = [](Call&, Call& truth, double) -> Bounds {
    return {{"positions", each(truth.array("positions").size(), [](int64_t) { return 0.0; })}};
  };
  s.flops = [](const Numbers&) { return 0.0; };
  s.bench = {{"n", 512}, {"vocab", 4096}};
  s.bench_on_device = {{"n", 16384}, {"vocab", 102400}};
  return {f, b, s};
}

}  // namespace dsllm::tests
