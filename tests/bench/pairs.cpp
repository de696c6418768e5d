#include "tests/bench/pairs.hpp"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iostream>
#include <memory>
#include <vector>

#include "cuda/core/device.hpp"
#include "ref/core/error.hpp"
#include "tests/bench/measure.hpp"
#include "tests/judge/judge.hpp"
#include "tests/pairs/on_device.hpp"
#include "tests/pairs/registry.hpp"

namespace dsllm::bench {
namespace {

using tests::Call;
using tests::Candidate;
using tests::OnDevice;
using tests::Pair;
using tests::Style;

double ref_seconds(const Candidate& candidate, const Call& before) {
  Call call = before;  // what an update changes
  return seconds([&] { candidate.run(call); });
}

void reference(benchmark::State& state, const Pair& pair, const Candidate& candidate) {
  const Call before = make_call(pair, pair.bench, Style::normal, candidate.types());
  for (auto _ : state) state.SetIterationTime(ref_seconds(candidate, before));
}

// A kernel on the executor, and in the same run the reference in float: no figure of a GPU, and nobody shall take it for
// one.
void on_executor(benchmark::State& state, const Pair& pair, const Candidate& candidate) {
  const Candidate& ref = pair.candidates.front();
  const Call ref_before = make_call(pair, pair.bench, Style::normal, ref.types());
  Call call = make_call(pair, pair.bench, Style::normal, candidate.types());
  OnDevice device(call);
  const bool has_ref = !ref.launch;
  double ratio_sum = 0;
  for (auto _ : state) {
    device.reset();
    device.stream().synchronize();
    const double time = seconds([&] {
      candidate.launch(device);
      device.stream().synchronize();
    });
    if (has_ref) ratio_sum += time / ref_seconds(ref, ref_before);
    state.SetIterationTime(time);
  }
  if (has_ref) state.counters["x_ref"] = ratio_sum / static_cast<double>(state.iterations());
  state.SetLabel("on a CPU: no figure of a GPU");
}

double quantile(std::vector<double> x, double q) {
  std::sort(x.begin(), x.end());
  return x[static_cast<size_t>(q * static_cast<double>(x.size() - 1) + 0.5)];
}

// What a GPU does between two events, with nothing in its L2 cache that the run before left there.
class DeviceTimer {
 public:
  // f(stream) may put any number of launches and copies into the stream.
  template <class F>
  double operator()(cuda::Stream& stream, const F& f) {
    cuda::fill_zero(flush_.data(), flush_.size(), stream);
    cuda::Event begin, end;
    begin.record(stream);
    f();
    end.record(stream);
    stream.synchronize();
    return double{cuda::Event::milliseconds(begin, end)} * 1e-3;
  }

 private:
  cuda::DeviceMemory flush_{int64_t{1} << 28,
                            "what flushes the cache"};  // several times the L2 of an H100 (50 MB)
};

// Bytes/s, read and written, of a copy from device memory to device memory that moves as many bytes.
double copy_bandwidth(DeviceTimer& timer, int64_t bytes) {
  const int64_t half = std::max<int64_t>(bytes / 2, 1);
  const cuda::DeviceMemory from(half, "from"), to(half, "to");
  cuda::Stream stream;
  cuda::fill_zero(from.data(), half, stream);
  std::vector<double> times;
  for (int i = 0; i < 20; ++i)
    times.push_back(timer(stream, [&] { cuda::copy_on_device(to.data(), from.data(), half, stream); }));
  return 2 * static_cast<double>(half) / quantile(times, 0.5);
}

constexpr int runs_on_device = 30;

// Three sets of random inputs in turn, each as it was in the beginning, and a verdict on what the timed runs wrote.
void on_device(benchmark::State& state, const Pair& pair, const Candidate& candidate) {
  if (const std::string why = cuda::unavailable(); !why.empty()) return state.SkipWithError(why.c_str());
  constexpr uint64_t sets = 3;
  std::deque<Call> calls;
  std::deque<OnDevice> devices;
  for (uint64_t seed = 0; seed < sets; ++seed) {
    calls.push_back(make_call(pair, pair.bench_on_device, Style::normal, candidate.types(), seed));
    candidate.launch(devices.emplace_back(calls.back()));  // once before the clock runs: memory, code
    devices.back().stream().synchronize();
  }
  DeviceTimer timer;
  std::vector<double> times;
  for (auto _ : state) {
    OnDevice& device = devices[times.size() % sets];
    device.reset();
    times.push_back(timer(device.stream(), [&] { candidate.launch(device); }));
    state.SetIterationTime(times.back());
  }
  const double bytes = static_cast<double>(bytes_moved(pair, calls.front())), median = quantile(times, 0.5);
  for (uint64_t seed = 0; seed < sets; ++seed) {
    devices[seed].finish();
    const tests::Verdict verdict =
        judge_result(pair, candidate, pair.bench_on_device, Style::normal, seed, calls[seed]);
    if (!verdict.pass) return state.SkipWithError(("wrong: " + verdict.reason).c_str());
  }
  state.counters["median_us"] = 1e6 * median;
  state.counters["p10_us"] = 1e6 * quantile(times, 0.1);
  state.counters["p90_us"] = 1e6 * quantile(times, 0.9);
  state.counters["GB/s"] = bytes / median / 1e9;
  state.counters["GFLOP/s"] = pair.flops ? pair.flops(pair.bench_on_device) / median / 1e9 : 0;
  state.counters["of_copy"] = bytes / median / copy_bandwidth(timer, static_cast<int64_t>(bytes));
  state.SetLabel(cuda::device_name() + ", result judged");
}

void add(const Pair& pair, const Candidate& candidate) {
  const auto name = pair.name + "/" + candidate.name;
  const bool has_gpu = cuda::backend() == cuda::Backend::device;
  if (candidate.launch && !candidate.supports(has_gpu ? pair.bench_on_device : pair.bench)) return;
  const auto run = !candidate.launch ? reference : has_gpu ? on_device : on_executor;
  auto* b = benchmark::RegisterBenchmark(name.c_str(), [&pair, &candidate, run](benchmark::State& state) {
    // One that fails leaves the others their turn.
    try {
      run(state, pair, candidate);
    } catch (const Error& e) {
      state.SkipWithError(e.what());
    }
  });
  b->UseManualTime()->Unit(benchmark::kMicrosecond);
  if (run == on_device) b->Iterations(runs_on_device);
}

}  // namespace

void register_pairs() {
  const bool has_gpu = cuda::backend() == cuda::Backend::device;
  for (const Pair& pair : tests::all_pairs())
    for (const Candidate& candidate : pair.candidates)
      if (candidate.launch || !has_gpu) add(pair, candidate);
}

}  // namespace dsllm::bench
