#include <benchmark/benchmark.h>

#include "tests/bench/pairs.hpp"

int main(int argc, char** argv) {
  dsllm::bench::register_pairs();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
