#include "ref/model/rope.hpp"

#include "cuda/model/rope.hpp"
#include "ref/core/error.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/on_device.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

ref::RopeLayout layout_of(const Call& c, const char* name) {
  return c.number(name) == 0 ? ref::RopeLayout::interleaved : ref::RopeLayout::halves;
}

cuda::RopeLayout layout_of(const OnDevice& d) {
  return d.number("halves") == 0 ? cuda::RopeLayout::interleaved : cuda::RopeLayout::halves;
}

template <class T>
void angles(Call& c) {
  ref::rope_angles<T>(c.size("position"), c.number("theta"), c.out<T, 2>("cos"), c.out<T, 2>("sin"));
}

template <class T>
void forward(Call& c) {
  ref::rope_forward<T>(c.in<T, 4>("x"), c.in<T, 2>("cos"), c.in<T, 2>("sin"), layout_of(c, "halves"),
                       c.out<T, 4>("y"));
}

template <class T>
void backward(Call& c) {
  ref::rope_backward<T>(c.in<T, 4>("dy"), c.in<T, 2>("cos"), c.in<T, 2>("sin"), layout_of(c, "halves"),
                        c.out<T, 4>("dx"));
}

template <class T>
void convert_weight(Call& c) {
  ref::rope_convert_weight<T>(c.in<T, 2>("weight"), c.size("heads"), layout_of(c, "from"), layout_of(c, "to"),
                              c.out<T, 2>("converted"));
}

int64_t half_of(const Numbers& s) {
  const int64_t d_head = s.size("d_head");
  if (d_head % 2 != 0) throw ValueError("rope", "an even d_head", std::to_string(d_head));
  return d_head / 2;
}

// Vectors of 16 bytes in one layout and type only (d_head 8, 16), in all (64, 128), in none (2, 6, 34); more vectors in a head
// than a block has threads in x, and more heads than it takes in one step (37 of 528).
//
// Each size in both layouts: "halves" is 0 for interleaved pairs, 1 for rotated halves.
std::vector<Numbers> cases() {
  const std::vector<Numbers> sizes = {{{"batch", 1}, {"seq", 1}, {"heads", 1}, {"d_head", 2}},
                                      {{"batch", 2}, {"seq", 7}, {"heads", 3}, {"d_head", 8}},
                                      {{"batch", 1}, {"seq", 65}, {"heads", 2}, {"d_head", 64}},
                                      {{"batch", 3}, {"seq", 5}, {"heads", 1}, {"d_head", 6}},
                                      {{"batch", 1}, {"seq", 0}, {"heads", 2}, {"d_head", 4}},
                                      {{"batch", 2}, {"seq", 33}, {"heads", 5}, {"d_head", 34}},
                                      {{"batch", 2}, {"seq", 3}, {"heads", 5}, {"d_head", 128}},
                                      {{"batch", 1}, {"seq", 4}, {"heads", 7}, {"d_head", 16}},
                                      {{"batch", 2}, {"seq", 2}, {"heads", 37}, {"d_head", 528}}};
  std::vector<Numbers> all;
  for (const double halves : {0.0, 1.0})
    for (Numbers s : sizes) {
      s["halves"] = halves;
      s["position"] = s.at("d_head") == 8 || s.at("d_head") == 128 ? 131072 : 3;
      s["theta"] = 10000;
      all.push_back(s);
    }
  return all;
}

Pair rotation(const char* name, Run truth, Run candidate, const std::string& in, const std::string& out) {
  Pair p(name, "2.2");
  p.cases = cases();
  p.styles = {Style::normal, Style::wide};
  p.arguments = [in, out](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t batch = s.size("batch"), seq = s.size("seq"), heads = s.size("heads"), half = half_of(s),
                  n = batch * seq * heads * 2 * half;
    const auto angle = [&](int64_t i) {
      return (s.at("position") + static_cast<double>(i / half)) *
             std::pow(s.at("theta"), -static_cast<double>(i % half) / static_cast<double>(half));
    };
    return {{in, Role::input, {batch, seq, heads, 2 * half}, draw.real(n)},
            {"cos",
             Role::input,
             {seq, half},
             each(seq * half, [&](int64_t i) { return std::cos(angle(i)); }),
             Kind::wide},
            {"sin",
             Role::input,
             {seq, half},
             each(seq * half, [&](int64_t i) { return std::sin(angle(i)); }),
             Kind::wide},
            {out, Role::output, {batch, seq, heads, 2 * half}}};
  };
  p.truth = std::move(truth);
  p.candidates = {{"ref float", DType::f32, DType::f32, std::move(candidate)}};
  // Each output is a sum of two products of the pair (a, b); the gauge of both is below |a| + |b|.
  p.bounds = [in, out](Call& before, Call&, double eps) -> Bounds {
    const auto x = before.in<double, 4>(in);
    const int64_t d = x.extent[3];
    const bool halves = before.number("halves") != 0;
    return {{out, each(x.size(), [&](int64_t at) {
               const int64_t i = at % d;
               const int64_t partner = at + (halves ? (i < d / 2 ? d / 2 : -d / 2) : (i % 2 == 0 ? 1 : -1));
               return eps * sum_of(2) * (std::abs(x.data[at]) + std::abs(x.data[partner]));
             })}};
  };
  p.in_place = {{out, in}};
  p.flops = [](const Numbers& s) { return 3 * s.at("batch") * s.at("seq") * s.at("heads") * s.at("d_head"); };
  p.bench = {{"batch", 1},  {"seq", 128},    {"heads", 32},   {"d_head", 128},
             {"halves", 1}, {"position", 0}, {"theta", 10000}};
  p.bench_on_device = {{"batch", 4},  {"seq", 2048},   {"heads", 32},   {"d_head", 128},
                       {"halves", 1}, {"position", 0}, {"theta", 10000}};
  return p;
}

}  // namespace

std::vector<Pair> rope_pairs() {
  Pair a("rope_angles", "2.2");
  a.cases = {{{"n", 1}, {"d_head", 2}, {"position", 0}, {"theta", 10000}},
             {{"n", 33}, {"d_head", 128}, {"position", 0}, {"theta", 10000}},
             {{"n", 5}, {"d_head", 128}, {"position", 131070}, {"theta", 10000}},
             {{"n", 7}, {"d_head", 6}, {"position", 4093}, {"theta", 500000}},
             {{"n", 0}, {"d_head", 4}, {"position", 0}, {"theta", 10000}}};
  a.arguments = [](const Numbers& s, Draw&) -> std::vector<Argument> {
    const int64_t n = s.size("n"), half = half_of(s);
    return {{"cos", Role::output, {n, half}, {}, Kind::wide},
            {"sin", Role::output, {n, half}, {}, Kind::wide}};
  };
  a.truth = angles<double>;
  a.candidates = {{"ref float", DType::f32, DType::f32, angles<float>}};
  a.candidates.push_back(cuda_candidate<float>("angle a thread", []<class T>(OnDevice& d) {
    cuda::rope_angles(d.size("position"), d.number("theta"), d.out<float, 2>("cos"), d.out<float, 2>("sin"),
                      d.stream());
  }));
  // The angle is a double with an error of a few 2^-53 of itself (pow and a product), which moves cos and sin by as much;
  // the result is rounded to T. An angle in float would be off by 2^-24 of itself: 0.008 at position 131,072.
  a.bounds = [](Call& before, Call& truth, double eps) -> Bounds {
    Bounds bounds;
    for (const char* name : {"cos", "sin"}) {
      const auto v = truth.in<double, 2>(name);
      const double angle = before.number("position") + before.number("n");
      bounds[name] = each(v.size(), [&](int64_t i) {
        return eps * operations(1) * std::abs(v.data[i]) + 0x1p-53 * 8 * (1 + angle);
      });
    }
    return bounds;
  };
  a.flops = [](const Numbers& s) { return s.at("n") * s.at("d_head"); };
  a.bench = {{"n", 4096}, {"d_head", 128}, {"position", 0}, {"theta", 10000}};
  a.bench_on_device = {{"n", 131072}, {"d_head", 128}, {"position", 0}, {"theta", 10000}};

  Pair c("rope_convert_weight", "2.2");
  c.styles = {Style::wide};
  for (const double from : {0.0, 1.0})
    for (const double to : {0.0, 1.0})
      for (const double d_head : {2.0, 6.0, 16.0})
        c.cases.push_back({{"heads", 3}, {"d_head", d_head}, {"d_in", 5}, {"from", from}, {"to", to}});
  c.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    const int64_t rows = s.size("heads") * 2 * half_of(s), d_in = s.size("d_in");
    return {{"weight", Role::input, {rows, d_in}, draw.real(rows * d_in)},
            {"converted", Role::output, {rows, d_in}}};
  };
  c.truth = convert_weight<double>;
  c.candidates = {{"ref float", DType::f32, DType::f32, convert_weight<float>}};
  // A reordering is exact.
  c.bounds = [](Call&, Call& truth, double) -> Bounds {
    return {{"converted", each(truth.array("converted").size(), [](int64_t) { return 0.0; })}};
  };
  c.flops = [](const Numbers&) { return 0.0; };
  c.bench = {{"heads", 32}, {"d_head", 128}, {"d_in", 1024}, {"from", 0}, {"to", 1}};
  Pair f = rotation("rope_forward", forward<double>, forward<float>, "x", "y");
  add_cuda<float, bf16>(f, "pairs of several heads", []<class T>(OnDevice& d) {
    cuda::rope_forward<T>(d.in<T, 4>("x"), d.in<float, 2>("cos"), d.in<float, 2>("sin"), layout_of(d),
                          d.out<T, 4>("y"), d.stream());
  });
  Pair b = rotation("rope_backward", backward<double>, backward<float>, "dy", "dx");
  add_cuda<float, bf16>(b, "pairs of several heads", []<class T>(OnDevice& d) {
    cuda::rope_backward<T>(d.in<T, 4>("dy"), d.in<float, 2>("cos"), d.in<float, 2>("sin"), layout_of(d),
                           d.out<T, 4>("dx"), d.stream());
  });
  return {a, f, b, c};
}

}  // namespace dsllm::tests
