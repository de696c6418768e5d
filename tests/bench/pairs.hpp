// Benchmarks of every candidate of every pair: "rmsnorm_forward/cuda bf16, one thread a row". --benchmark_filter takes a
// regular expression over these names.
#pragma once

namespace dsllm::bench {

// On the executor, or, in the program that is linked with kernels for a GPU, on that.
void register_pairs();

}  // namespace dsllm::bench
