#include "ref/train/grad_clip.hpp"

#include "cuda/train/grad_clip.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/on_device.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

template <class T>
void clip(Call& c) {
  c.out<T, 1>("norm")(0) = static_cast<T>(ref::grad_clip<T>(c.number("max_norm"), c.out<T, 1>("gradient")));
}

// The gradient as tensors of these sizes, the rest as the last one.
void clip_tensors(OnDevice& d, const std::vector<int64_t>& sizes) {
  const auto gradient = d.out<float, 1>("gradient");
  std::vector<View<float, 1>> tensors;
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    tensors.push_back(gradient.rows(begin, std::min(size, gradient.size() - begin)));
    begin += tensors.back().size();
  }
  tensors.push_back(gradient.rows(begin, gradient.size() - begin));
  const auto& list = d.keep([&] { return cuda::TensorList(tensors, d.stream()); });
  cuda::grad_clip(list, d.number("max_norm"), d.scratch<double>(list.pieces()), d.out<float, 1>("norm"),
                  d.scratch<float>(1), d.stream());
}

}  // namespace

std::vector<Pair> grad_clip_pairs() {
  Pair p("grad_clip", "2.3");
  // Below the norm (which is about sqrt(n)), and above it.
  p.cases = {{{"n", 1}, {"max_norm", 0.01}},    {{"n", 1003}, {"max_norm", 1}},
             {{"n", 70001}, {"max_norm", 0.5}}, {{"n", 65536}, {"max_norm", 2}},
             {{"n", 17}, {"max_norm", 1e9}},    {{"n", 17}, {"max_norm", 1e-3}},
             {{"n", 0}, {"max_norm", 1}}};
  p.styles = {Style::normal, Style::wide};
  p.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t n = s.size("n");
    return {{"gradient", Role::update, {n}, draw.real(n), Kind::wide},
            {"norm", Role::output, {1}, {}, Kind::wide}};
  };
  p.truth = clip<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, clip<float>}};
  add_cuda<float>(p, "one tensor", []<class T>(OnDevice& d) { clip_tensors(d, {}); });
  // Of one element, of none, of one vector, beginning anywhere, ending with a piece, one element longer than a piece.
  add_cuda<float>(p, "nine tensors", []<class T>(OnDevice& d) {
    const int64_t piece = cuda::TensorList::piece_size;
    clip_tensors(d, {1, 0, 4, 7, 0, 300, piece, piece + 1});
  });
  // A norm may be summed in T, over terms that are all positive; the root halves its error. The factor is rounded after
  // a division, and so is the product.
  p.bounds = [](Call&, Call& truth, double eps) -> Bounds {
    const auto g = truth.in<double, 1>("gradient");
    const double norm_units = sum_of(g.size()) / 2 + operations(1);
    return {{"norm", {eps * norm_units * truth.in<double, 1>("norm")(0)}},
            {"gradient",
             each(g.size(), [&](int64_t i) { return eps * (norm_units + operations(3)) * std::abs(g(i)); })}};
  };
  p.flops = [](const Numbers& s) { return 3 * s.at("n"); };
  // Nothing can be scaled before all of it was read for the norm: three passes, since both benchmarks clip.
  p.bytes = [](Call& c) {
    GuardedArray& g = c.array("gradient");
    return 3 * g.size() * describe(g.dtype()).size;
  };
  p.bench = {{"n", 1048576}, {"max_norm", 1}};
  p.bench_on_device = {{"n", 67108864}, {"max_norm", 1}};
  return {p};
}

}  // namespace dsllm::tests
