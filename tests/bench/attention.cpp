// Attention with online softmax beside the naive one, forward and backward, and what each needs in memory beyond its
// inputs and outputs.
#include <benchmark/benchmark.h>

#include "ref/core/random.hpp"
#include "ref/model/attention.hpp"
#include "tests/bench/measure.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using namespace dsllm::bench;

namespace {

struct Attention {
  static constexpr int64_t heads = 4, d_head = 64;
  Tensor<float, 4> q, k, v, y, dy, dq, dk, dv;
  explicit Attention(int64_t seq)
      : q(1, seq, heads, d_head),
        k(1, seq, heads, d_head),
        v(1, seq, heads, d_head),
        y(1, seq, heads, d_head),
        dy(1, seq, heads, d_head),
        dq(1, seq, heads, d_head),
        dk(1, seq, heads, d_head),
        dv(1, seq, heads, d_head) {
    uint64_t stream = 0;
    for (Tensor<float, 4>* t : {&q, &k, &v, &dy}) fill_normal(t->flat(), 0.0, 1.0, 1, stream++);
    for (Tensor<float, 4>* t : {&y, &dq, &dk, &dv}) fill_normal(t->flat(), 0.0, 1.0, 1, stream++);  // touched
  }
};

void online(Attention& a) {
  Tensor<float, 3> lse(1, Attention::heads, a.q.extent[1]);
  attention_forward<float>(a.q, a.k, a.v, a.y, lse);
  attention_backward<float>(a.dy, a.q, a.k, a.v, a.y, lse, a.dq, a.dk, a.dv);
}

void naive(Attention& a) {
  const int64_t seq = a.q.extent[1];
  Tensor<float, 4> p(1, Attention::heads, seq, seq), ds(1, Attention::heads, seq, seq);
  attention_naive_forward<float>(a.q, a.k, a.v, p, a.y);
  attention_naive_backward<float>(a.dy, a.q, a.k, a.v, p, ds, a.dq, a.dk, a.dv);
}

void online_beside_naive(benchmark::State& state) {
  Attention a(state.range(0));
  const int64_t online_bytes = extra_memory([&] { online(a); });
  const int64_t naive_bytes = extra_memory([&] { naive(a); });
  double ratio_sum = 0;
  for (auto _ : state) {
    const double time = seconds([&] { online(a); });
    ratio_sum += time / seconds([&] { naive(a); });
    state.SetIterationTime(time);
  }
  state.counters["time_of_naive"] = ratio_sum / static_cast<double>(state.iterations());
  state.counters["online_extra_MB"] = static_cast<double>(online_bytes) / 1e6;
  state.counters["naive_extra_MB"] = static_cast<double>(naive_bytes) / 1e6;
}
BENCHMARK(online_beside_naive)
    ->Arg(1024)
    ->Arg(2048)
    ->Arg(4096)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(5);

}  // namespace
