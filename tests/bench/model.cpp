// The transformer against the machine's limits, both sides measured in one run.
//
//   of_gemm        rate of a whole training step / rate of Eigen's 1024 x 1024 float product on the same threads
//   of_bandwidth   bytes of weights read per second of generation / measured read bandwidth
//   of_count       peak memory / weights + gradients + Adam + activations, counted
#include <benchmark/benchmark.h>

#include <algorithm>

#include "ref/core/random.hpp"
#include "ref/model/eigen_engine.hpp"
#include "ref/model/gemm_peak.hpp"
#include "tests/bench/measure.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using namespace dsllm::bench;

namespace {

ModelConfig shape(int64_t n_layers, int64_t d_model, int64_t vocab_size, int64_t seq_len) {
  ModelConfig c = model_preset("tiny");
  c.n_layers = n_layers;
  c.d_model = d_model;
  c.d_head = 64;
  c.n_heads = c.n_kv_heads = d_model / 64;
  c.d_ff = default_d_ff(d_model);
  c.vocab_size = vocab_size;
  c.seq_len = seq_len;
  return c;
}

Tensor<int32_t, 2> some_tokens(int64_t batch, int64_t seq, int64_t vocab) {
  Tensor<int32_t, 2> tokens(batch, seq);
  for (int64_t i = 0; i < tokens.size(); ++i) tokens.data[i] = static_cast<int32_t>(i * 7919 % vocab);
  return tokens;
}

// Model FLOPs of a training step: 6 for each weight of a matrix product and token, and causal attention (scores and
// values, half of the square, three times for forward and backward).
double step_flops(const ModelConfig& c, int64_t batch, int64_t seq) {
  const double matrices = static_cast<double>(count_parameters(c).back().total - c.vocab_size * c.d_model);
  const double tokens = static_cast<double>(batch * seq);
  return 6 * matrices * tokens + 3 * 2.0 * static_cast<double>(c.n_layers * seq * c.d_model) * tokens;
}

void training_step(benchmark::State& state) {
  const ModelConfig c = shape(8, 512, 8192, 512);
  const int64_t batch = 4, seq = 512;
  const Tensor<int32_t, 2> tokens = some_tokens(batch, seq, c.vocab_size);
  EigenEngine engine(c, batch, seq);
  engine.initialize(1);
  double ratio_sum = 0, lowest = 1e9, highest = 0;
  int64_t step = 0;
  for (auto _ : state) {
    const double before = measure_gemm_peak();
    const double time = seconds([&] {
      engine.zero_gradients();
      engine.accumulate_gradients(tokens, tokens, 1.0 / static_cast<double>(batch * seq));
      engine.clip_gradients(1.0);
      engine.adamw_step({}, 1e-3, ++step);
    });
    const double gemm = (before + measure_gemm_peak()) / 2;
    const double ratio = step_flops(c, batch, seq) / time / gemm;
    state.SetIterationTime(time);
    ratio_sum += ratio;
    lowest = std::min(lowest, ratio);
    highest = std::max(highest, ratio);
  }
  state.counters["of_gemm"] = ratio_sum / static_cast<double>(state.iterations());
  state.counters["lowest"] = lowest;
  state.counters["highest"] = highest;
}
BENCHMARK(training_step)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(8);

// One token at a time through weights that no cache holds.
template <class W>
void generation(benchmark::State& state) {
  const ModelConfig c = shape(16, 1024, 32768, 256);
  const std::vector<ParameterInfo> layout = parameter_layout(c);
  Tensor<W, 1> flat(parameter_count(layout));
  for (int64_t i = 0; i < flat.size(); ++i) flat(i) = W(static_cast<float>(i % 13 - 6) * 0.01f);
  const auto weights = weights_of<const W>(c, layout, View<const W, 1>(flat));
  // Every weight but the embedding's, of which one row is read.
  const double bytes =
      static_cast<double>((flat.size() - c.vocab_size * c.d_model) * static_cast<int64_t>(sizeof(W)));
  KvCache<float> cache(c, c.seq_len);
  Tensor<float, 2> logits(1, c.vocab_size);
  ReadBandwidth bandwidth;
  double ratio_sum = 0, lowest = 1e9, highest = 0;
  for (auto _ : state) {
    const double before = bandwidth.measure();
    constexpr int tokens = 4;
    cache.length = 0;
    const double time = seconds([&] {
      for (int32_t t = 0; t < tokens; ++t)
        transformer_append<float, W>(c, weights, View<const int32_t, 1>(&t, {1}), cache, logits);
    });
    const double ratio = bytes * tokens / time / ((before + bandwidth.measure()) / 2);
    state.SetIterationTime(time / tokens);
    ratio_sum += ratio;
    lowest = std::min(lowest, ratio);
    highest = std::max(highest, ratio);
  }
  state.counters["of_bandwidth"] = ratio_sum / static_cast<double>(state.iterations());
  state.counters["lowest"] = lowest;
  state.counters["highest"] = highest;
}
BENCHMARK(generation<float>)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(8);
BENCHMARK(generation<bf16>)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(8);

void training_memory(benchmark::State& state) {
  const ModelConfig c = shape(8, 512, 8192, 512);
  const Tensor<int32_t, 2> tokens = some_tokens(4, 512, c.vocab_size);
  for (auto _ : state) {
    int64_t counted = 0;
    const int64_t peak = extra_memory([&] {
      EigenEngine engine(c, 4, 512);
      engine.initialize(1);
      for (int64_t step = 1; step <= 2; ++step) {
        engine.accumulate_gradients(tokens, tokens, 1e-3);
        engine.clip_gradients(1.0);
        engine.adamw_step({}, 1e-3, step);
      }
      counted = engine.bytes();
    });
    state.counters["peak_MB"] = static_cast<double>(peak) / 1e6;
    state.counters["counted_MB"] = static_cast<double>(counted) / 1e6;
    state.counters["of_count"] = static_cast<double>(peak) / static_cast<double>(counted);
  }
}
BENCHMARK(training_memory)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
