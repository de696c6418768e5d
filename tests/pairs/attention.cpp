#include "ref/model/attention.hpp"

#include "cuda/model/attention.hpp"
#include "ref/core/bf16.hpp"
#include "ref/core/error.hpp"
#include "ref/core/tensor.hpp"
#include "tests/judge/bounds.hpp"
#include "tests/pairs/on_device.hpp"
#include "tests/pairs/plain_attention.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::tests {
namespace {

template <class T>
void naive_forward(Call& c) {
  ref::attention_naive_forward<T>(c.in<T, 4>("q"), c.in<T, 4>("k"), c.in<T, 4>("v"), c.out<T, 4>("p"),
                                  c.out<T, 4>("y"));
}

template <class T>
void naive_backward(Call& c) {
  ref::attention_naive_backward<T>(c.in<T, 4>("dy"), c.in<T, 4>("q"), c.in<T, 4>("k"), c.in<T, 4>("v"),
                                   c.in<T, 4>("p"), c.out<T, 4>("ds"), c.out<T, 4>("dq"), c.out<T, 4>("dk"),
                                   c.out<T, 4>("dv"));
}

template <class T>
void online_forward(Call& c) {
  ref::attention_forward<T>(c.in<T, 4>("q"), c.in<T, 4>("k"), c.in<T, 4>("v"), c.out<T, 4>("y"),
                            c.out<T, 3>("lse"));
}

template <class T>
void online_backward(Call& c) {
  ref::attention_backward<T>(c.in<T, 4>("dy"), c.in<T, 4>("q"), c.in<T, 4>("k"), c.in<T, 4>("v"),
                             c.in<T, 4>("y"), c.in<T, 3>("lse"), c.out<T, 4>("dq"), c.out<T, 4>("dk"),
                             c.out<T, 4>("dv"));
}

template <class T>
void decode(Call& c) {
  ref::attention_decode<T>(c.in<T, 2>("q"), c.in<T, 3>("k"), c.in<T, 3>("v"), c.out<T, 2>("y"));
}

void plain_forward(Call& c) {
  const Plain<float> plain(c);
  plain.y(c.out<float, 4>("y"));
  std::copy_n(plain.lse.data, plain.lse.size(), c.out<float, 3>("lse").data);
}

// As tensor cores have it: the probabilities are rounded to bf16 before they meet v, all sums are in float.
void plain_forward_bf16(Call& c) {
  const auto widen = [&](const char* name) {
    const auto x = c.in<bf16, 4>(name);
    Tensor<float, 4> wide(x.extent[0], x.extent[1], x.extent[2], x.extent[3]);
    std::copy_n(x.data, x.size(), wide.data);
    return wide;
  };
  const Tensor<float, 4> q = widen("q"), k = widen("k"), v = widen("v");
  Plain<float> plain(q, k, v);
  for (int64_t i = 0; i < plain.p.size(); ++i) plain.p.data[i] = bf16(plain.p.data[i]);
  Tensor<float, 4> y = Tensor<float, 4>::like(q);
  plain.y(y);
  const auto out = c.out<bf16, 4>("y");
  for (int64_t i = 0; i < y.size(); ++i) out.data[i] = bf16(y.data[i]);
  std::copy_n(plain.lse.data, plain.lse.size(), c.out<float, 3>("lse").data);
}

void plain_backward(Call& c) {
  const Plain<float> plain(c);
  plain.gradients(c.in<float, 4>("dy"), c.out<float, 4>("dq"), c.out<float, 4>("dk"), c.out<float, 4>("dv"));
}

template <class T>
void plain_decode(Call& c) {
  const auto q = c.in<T, 2>("q");
  const auto k = c.in<T, 3>("k"), v = c.in<T, 3>("v");
  const auto y = c.out<T, 2>("y");
  const int64_t length = k.extent[0], heads = q.extent[0], d = q.extent[1], group = heads / k.extent[1];
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(d)));
  std::vector<T> p(static_cast<size_t>(length));
  for (int64_t h = 0; h < heads; ++h) {
    T max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < length; ++j) {
      T s = 0;
      for (int64_t e = 0; e < d; ++e) s += q(h, e) * k(j, h / group, e);
      p[static_cast<size_t>(j)] = s * scale;
      max = std::max(max, s * scale);
    }
    for (T& x : p) sum += x = std::exp(x - max);
    for (int64_t e = 0; e < d; ++e) {
      T result = 0;
      for (int64_t j = 0; j < length; ++j) result += p[static_cast<size_t>(j)] / sum * v(j, h / group, e);
      y(h, e) = result;
    }
  }
}

// MHA, GQA and MQA; one token; primes; around tiles of 16, 32, 64 and 128; and the widths 64 and 128 that kernels are
// made for.
const std::vector<Numbers> cases = {
    {{"batch", 1}, {"seq", 1}, {"n_heads", 1}, {"n_kv_heads", 1}, {"d_head", 2}},
    {{"batch", 2}, {"seq", 7}, {"n_heads", 4}, {"n_kv_heads", 2}, {"d_head", 6}},
    {{"batch", 1}, {"seq", 17}, {"n_heads", 3}, {"n_kv_heads", 3}, {"d_head", 16}},
    {{"batch", 1}, {"seq", 33}, {"n_heads", 6}, {"n_kv_heads", 1}, {"d_head", 8}},
    {{"batch", 1}, {"seq", 63}, {"n_heads", 2}, {"n_kv_heads", 1}, {"d_head", 32}},
    {{"batch", 1}, {"seq", 64}, {"n_heads", 4}, {"n_kv_heads", 2}, {"d_head", 10}},
    {{"batch", 1}, {"seq", 65}, {"n_heads", 2}, {"n_kv_heads", 2}, {"d_head", 128}},
    {{"batch", 1}, {"seq", 129}, {"n_heads", 4}, {"n_kv_heads", 2}, {"d_head", 4}},
    {{"batch", 1}, {"seq", 1}, {"n_heads", 2}, {"n_kv_heads", 1}, {"d_head", 64}},
    {{"batch", 2}, {"seq", 97}, {"n_heads", 3}, {"n_kv_heads", 1}, {"d_head", 64}},
    {{"batch", 1}, {"seq", 128}, {"n_heads", 4}, {"n_kv_heads", 2}, {"d_head", 64}},
    {{"batch", 1}, {"seq", 31}, {"n_heads", 6}, {"n_kv_heads", 2}, {"d_head", 128}},
    {{"batch", 0}, {"seq", 5}, {"n_heads", 2}, {"n_kv_heads", 1}, {"d_head", 4}},
    {{"batch", 1}, {"seq", 0}, {"n_heads", 2}, {"n_kv_heads", 1}, {"d_head", 4}}};

// As a small model has it; and what a GPU can begin to fill, while the truth on the CPU is a matter of seconds.
const Numbers bench = {{"batch", 1}, {"seq", 512}, {"n_heads", 4}, {"n_kv_heads", 4}, {"d_head", 64}};
const Numbers bench_on_device = {
    {"batch", 1}, {"seq", 1024}, {"n_heads", 16}, {"n_kv_heads", 16}, {"d_head", 128}};

// Sizes that somebody gives by hand.
void require_heads(const Numbers& s) {
  const int64_t heads = s.size("n_heads"), kv_heads = s.size("n_kv_heads");
  if (kv_heads < 1 || heads % kv_heads != 0 || s.size("d_head") < 1)
    throw ValueError("attention", "d_head >= 1 and n_heads a multiple of n_kv_heads >= 1",
                     "n_heads = " + std::to_string(heads) + ", n_kv_heads = " + std::to_string(kv_heads));
}

// q and k of width 1.5, so that the probabilities are far from equal.
std::vector<Argument> inputs(const Numbers& s, Draw& draw) {
  require_heads(s);
  const int64_t batch = s.size("batch"), seq = s.size("seq"), heads = s.size("n_heads"),
                kv_heads = s.size("n_kv_heads"), d = s.size("d_head");
  return {{"q", Role::input, {batch, seq, heads, d}, draw.real(batch * seq * heads * d, 1.5)},
          {"k", Role::input, {batch, seq, kv_heads, d}, draw.real(batch * seq * kv_heads * d, 1.5)},
          {"v", Role::input, {batch, seq, kv_heads, d}, draw.real(batch * seq * kv_heads * d)}};
}

// Inputs, dy, and what the forward pass keeps for the backward pass.
std::vector<Argument> backward_inputs(const Numbers& s, Draw& draw) {
  std::vector<Argument> arguments = inputs(s, draw);
  Call call(s, arguments, all_double);
  const Plain<double> plain(call);
  const std::vector<int64_t> shape = arguments[0].shape;
  Tensor<double, 4> y(shape[0], shape[1], shape[2], shape[3]);
  plain.y(y);
  const auto values = [](const auto& x) { return std::vector<double>(x.data, x.data + x.size()); };
  arguments.push_back({"dy", Role::input, shape, draw.real(y.size())});
  arguments.push_back({"y", Role::input, shape, values(y)});
  arguments.push_back({"p", Role::input, {shape[0], shape[2], shape[1], shape[1]}, values(plain.p)});
  arguments.push_back({"lse", Role::input, {shape[0], shape[2], shape[1]}, values(plain.lse), Kind::wide});
  for (const size_t i : {0, 1, 2})
    arguments.push_back({"d" + arguments[i].name, Role::output, arguments[i].shape});
  arguments.push_back({"ds", Role::scratch, {shape[0], shape[2], shape[1], shape[1]}});
  return arguments;
}

double flops(const Numbers& s, double per_score) {
  return per_score * s.at("batch") * s.at("n_heads") * s.at("seq") * (s.at("seq") + 1) / 2 * s.at("d_head");
}

// y = sum_j p_ij v_j: errors of p and of the sum, relative to sum_j p_ij |v_j|.
std::vector<double> y_bound(const Plain<double>& plain, double eps) {
  std::vector<double> bound(static_cast<size_t>(plain.q.size()));
  plain.each_query([&](int64_t b, int64_t h, int64_t g, int64_t i) {
    const double units = plain.units_of_p(b, h, g, i) + sum_of(i + 1);
    for (int64_t e = 0; e < plain.d_head; ++e) {
      double gauge = 0;
      for (int64_t j = 0; j <= i; ++j) gauge += plain.p(b, h, i, j) * std::abs(plain.v(b, j, g, e));
      bound[static_cast<size_t>(((b * plain.seq + i) * plain.n_heads + h) * plain.d_head + e)] =
          eps * units * gauge;
    }
  });
  return bound;
}

// `units` eps of the sums of absolute values that make dq, dk and dv.
Bounds gradient_bounds(Call& before, const Plain<double>& plain, double eps, double units) {
  Tensor<double, 4> dq = Tensor<double, 4>::like(plain.q), dk = Tensor<double, 4>::like(plain.k),
                    dv = Tensor<double, 4>::like(plain.v);
  plain.gradients(before.in<double, 4>("dy"), dq, dk, dv, true);
  const auto bound = [&](const Tensor<double, 4>& gauge) {
    return each(gauge.size(), [&](int64_t i) { return eps * units * gauge.data[i]; });
  };
  return {{"dq", bound(dq)}, {"dk", bound(dk)}, {"dv", bound(dv)}};
}

Pair naive_forward_pair() {
  Pair p("attention_naive_forward", "2.2");
  p.cases = cases;
  p.arguments = [](const Numbers& s, Draw& draw) {
    std::vector<Argument> arguments = inputs(s, draw);
    const std::vector<int64_t> shape = arguments[0].shape;
    arguments.push_back({"p", Role::output, {shape[0], shape[2], shape[1], shape[1]}});
    arguments.push_back({"y", Role::output, shape});
    return arguments;
  };
  p.truth = naive_forward<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, naive_forward<float>}};
  add_cuda<float>(p, "one thread a number", []<class T>(OnDevice& d) {
    cuda::attention_naive_forward(d.in<T, 4>("q"), d.in<T, 4>("k"), d.in<T, 4>("v"), d.out<T, 4>("p"),
                                  d.out<T, 4>("y"), d.stream());
  });
  p.bounds = [](Call& before, Call&, double eps) -> Bounds {
    const Plain<double> plain(before);
    Tensor<double, 4> p_bound = Tensor<double, 4>::like(plain.p);
    plain.each_query([&](int64_t b, int64_t h, int64_t g, int64_t i) {
      const double units = plain.units_of_p(b, h, g, i);
      for (int64_t j = 0; j <= i; ++j) p_bound(b, h, i, j) = eps * units * plain.p(b, h, i, j);
    });
    return {{"p", std::vector<double>(p_bound.data, p_bound.data + p_bound.size())},
            {"y", y_bound(plain, eps)}};
  };
  p.flops = [](const Numbers& s) { return flops(s, 4); };
  p.bench = bench;
  p.bench_on_device = bench_on_device;
  return p;
}

Pair naive_backward_pair() {
  Pair p("attention_naive_backward", "2.2");
  p.cases = cases;
  p.arguments = backward_inputs;
  p.truth = naive_backward<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, naive_backward<float>}};
  // p is given. dp is a sum over d_head, its mean one over seq; ds two operations and the scale; dq, dk and dv are sums
  // over seq, and dk and dv over the group of query heads as well.
  p.bounds = [](Call& before, Call&, double eps) {
    const Plain<double> plain(before);
    const int64_t group = plain.n_heads / plain.n_kv_heads;
    return gradient_bounds(
        before, plain, eps,
        sum_of(plain.d_head) + sum_of(plain.seq) + operations(4) + sum_of(plain.seq * group));
  };
  p.flops = [](const Numbers& s) { return flops(s, 8); };
  p.bench = bench;
  p.bench_on_device = bench_on_device;
  return p;
}

Pair online_forward_pair() {
  Pair p("attention_forward", "2.2");
  p.cases = cases;
  p.arguments = [](const Numbers& s, Draw& draw) {
    std::vector<Argument> arguments = inputs(s, draw);
    const std::vector<int64_t> shape = arguments[0].shape;
    arguments.push_back({"y", Role::output, shape});
    arguments.push_back({"lse", Role::output, {shape[0], shape[2], shape[1]}, {}, Kind::wide});
    return arguments;
  };
  p.truth = online_forward<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, online_forward<float>}};
  const Traits narrow_heads = {.supports = [](const Numbers& s) { return s.size("d_head") <= 128; }};
  add_cuda<float, bf16>(
      p, "online softmax",
      []<class T>(OnDevice& d) {
        cuda::attention_online_forward<T>(d.in<T, 4>("q"), d.in<T, 4>("k"), d.in<T, 4>("v"), d.out<T, 4>("y"),
                                          d.out<float, 3>("lse"), d.stream());
      },
      narrow_heads);
  add_cuda<bf16>(
      p, "tensor cores",
      []<class T>(OnDevice& d) {
        cuda::attention_tensor_core_forward(d.in<T, 4>("q"), d.in<T, 4>("k"), d.in<T, 4>("v"),
                                            d.out<T, 4>("y"), d.out<float, 3>("lse"), d.stream());
      },
      {.supports = [](const Numbers& s) { return s.size("d_head") == 64 || s.size("d_head") == 128; }});
  add_cuda<float, bf16>(
      p, "the fastest",
      []<class T>(OnDevice& d) {
        cuda::attention_forward<T>(d.in<T, 4>("q"), d.in<T, 4>("k"), d.in<T, 4>("v"), d.out<T, 4>("y"),
                                   d.out<float, 3>("lse"), d.stream());
      },
      narrow_heads);
  p.plain = {{"plain float", DType::f32, DType::f32, plain_forward},
             {"plain bf16", DType::bf16, DType::bf16, plain_forward_bf16, DType::f32}};
  // The floor: 8 eps (sixteen roundings, for the rescaling that plain attention does not do) of sum_j p_ij |v_j|, and
  // of the log-sum-exp.
  p.bounds = [](Call& before, Call& truth, double eps) -> Bounds {
    const Plain<double> plain(before);
    std::vector<double> y(static_cast<size_t>(plain.q.size()));
    plain.each_query([&](int64_t b, int64_t h, int64_t g, int64_t i) {
      for (int64_t e = 0; e < plain.d_head; ++e) {
        double gauge = 0;
        for (int64_t j = 0; j <= i; ++j) gauge += plain.p(b, h, i, j) * std::abs(plain.v(b, j, g, e));
        y[static_cast<size_t>(((b * plain.seq + i) * plain.n_heads + h) * plain.d_head + e)] =
            eps * operations(16) * gauge;
      }
    });
    const auto lse = truth.in<double, 3>("lse");
    return {{"y", y}, {"lse", each(lse.size(), [&](int64_t i) {
                         return eps * operations(16) * (1 + std::abs(lse.data[i]));
                       })}};
  };
  p.flops = [](const Numbers& s) { return flops(s, 4); };
  p.bench = bench;
  p.bench_on_device = bench_on_device;
  return p;
}

Pair online_backward_pair() {
  Pair p("attention_backward", "2.2");
  p.cases = cases;
  p.arguments = backward_inputs;
  p.truth = online_backward<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, online_backward<float>}};
  p.plain = {{"plain float", DType::f32, DType::f32, plain_backward}};
  // The floor is 16 roundings of the sums of absolute values, and what two inputs cost that plain attention does not
  // read: y (a term of the mean) and lse (all of p) are rounded to T, to eps / 2 of themselves.
  p.bounds = [](Call& before, Call&, double eps) {
    const Plain<double> plain(before);
    double largest = 0;
    for (int64_t i = 0; i < plain.lse.size(); ++i) largest = std::max(largest, std::abs(plain.lse.data[i]));
    return gradient_bounds(before, plain, eps, operations(16) + operations(2) * (1 + largest));
  };
  p.flops = [](const Numbers& s) { return flops(s, 10); };
  p.bench = bench;
  p.bench_on_device = bench_on_device;
  return p;
}

Pair decode_pair() {
  Pair p("attention_decode", "2.2");
  for (const double length : {1, 2, 15, 16, 63, 64, 65, 127, 128, 129, 1000})
    p.cases.push_back(
        {{"length", length}, {"n_heads", 6}, {"n_kv_heads", length > 64 ? 2 : 3}, {"d_head", 20}});
  p.cases.push_back({{"length", 77}, {"n_heads", 4}, {"n_kv_heads", 4}, {"d_head", 128}});
  p.cases.push_back({{"length", 77}, {"n_heads", 5}, {"n_kv_heads", 1}, {"d_head", 2}});
  p.arguments = [](const Numbers& s, Draw& draw) -> std::vector<Argument> {
    require_heads(s);
    const int64_t length = s.size("length"), heads = s.size("n_heads"), kv_heads = s.size("n_kv_heads"),
                  d = s.size("d_head");
    return {{"q", Role::input, {heads, d}, draw.real(heads * d, 1.5)},
            {"k", Role::input, {length, kv_heads, d}, draw.real(length * kv_heads * d, 1.5)},
            {"v", Role::input, {length, kv_heads, d}, draw.real(length * kv_heads * d)},
            {"y", Role::output, {heads, d}}};
  };
  p.truth = decode<double>;
  p.candidates = {{"ref float", DType::f32, DType::f32, decode<float>}};
  p.plain = {{"plain float", DType::f32, DType::f32, plain_decode<float>}};
  // The floor: 16 roundings of sum_j p_j |v_j|, for the rescaling between tiles that plain attention does not do.
  p.bounds = [](Call& before, Call& truth, double eps) -> Bounds {
    Call gauge = truth;
    const auto v = before.in<double, 3>("v");
    const View<double, 3> absolute = gauge.out<double, 3>("v");
    for (int64_t i = 0; i < v.size(); ++i) absolute.data[i] = std::abs(v.data[i]);
    plain_decode<double>(gauge);
    const auto y = gauge.in<double, 2>("y");
    return {{"y", each(y.size(), [&](int64_t i) { return eps * operations(16) * y.data[i]; })}};
  };
  p.flops = [](const Numbers& s) { return 4 * s.at("length") * s.at("n_heads") * s.at("d_head"); };
  p.bench = {{"length", 4096}, {"n_heads", 32}, {"n_kv_heads", 32}, {"d_head", 128}};
  p.bench_on_device = {{"length", 32768}, {"n_heads", 32}, {"n_kv_heads", 8}, {"d_head", 128}};
  return p;
}

}  // namespace

std::vector<Pair> attention_pairs() {
  return {naive_forward_pair(), naive_backward_pair(), online_forward_pair(), online_backward_pair(),
          decode_pair()};
}

}  // namespace dsllm::tests
