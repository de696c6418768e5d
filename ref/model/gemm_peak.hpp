// What this machine's cores reach on a matrix product, as the measure of everything that consists of such products.
#pragma once

namespace dsllm::ref {

// FLOP/s of Eigen's own 1024 x 1024 float product (2 * 1024^3 FLOPs), one on each of threads() threads (at most one a core) at once,
// `products` times each. Takes products * 2 * 1024^3 / rate seconds a thread, about 0.1 s by default.
double measure_gemm_peak(int products = 3);

}  // namespace dsllm::ref
