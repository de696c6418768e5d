// Arrays of random numbers. Element i is a function of (seed, stream, i) alone: the same for any number of threads,
// and for any part of the array.
#pragma once

#include <cstdint>
#include <vector>

#include "ref/core/view.hpp"

namespace dsllm {

// x[i] = mean + std * z_i with z_i normal, computed in double, rounded once to T (float or double).
template <class T>
void fill_normal(Out<T, 1> x, double mean, double std, uint64_t seed, uint64_t stream);

// x[i] = low + (high - low) * u_i with u_i uniform in [0, 1), computed in double; rounded to T it may reach high.
template <class T>
void fill_uniform(Out<T, 1> x, double low, double high, uint64_t seed, uint64_t stream);

// 0 .. n-1 in random order, all n! orders equally likely as far as 64 bits of seed go (Fisher and Yates). Throws
// ValueError for n < 0.
std::vector<int64_t> permutation(int64_t n, uint64_t seed, uint64_t stream);

}  // namespace dsllm
