#include "ref/core/random.hpp"

#include <fmt/format.h>

#include <utility>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/core/philox.hpp"

namespace dsllm {
namespace {

constexpr int64_t grain =
    1 << 14;  // even: a block of the generator gives two numbers, and no piece splits one

// x[i] = make(block i / 2), of its two numbers the one for i.
template <class T, class Make>
void fill_in_pairs(Out<T, 1> x, uint64_t seed, uint64_t stream, Make make) {
  parallel_pieces(x.size(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 2) {
      const std::pair<double, double> two = make(philox_block(seed, stream, static_cast<uint64_t>(i / 2)));
      x.data[i] = static_cast<T>(two.first);
      if (i + 1 < end) x.data[i + 1] = static_cast<T>(two.second);
    }
  });
}

}  // namespace

template <class T>
void fill_normal(Out<T, 1> x, double mean, double std, uint64_t seed, uint64_t stream) {
  fill_in_pairs(x, seed, stream, [&](const PhiloxBlock& b) {
    const NormalPair z = normal_pair(b);
    return std::pair(mean + std * z.first, mean + std * z.second);
  });
}

template <class T>
void fill_uniform(Out<T, 1> x, double low, double high, uint64_t seed, uint64_t stream) {
  fill_in_pairs(x, seed, stream, [&](const PhiloxBlock& b) {
    return std::pair(low + (high - low) * uniform_double(b.word[0], b.word[1]),
                     low + (high - low) * uniform_double(b.word[2], b.word[3]));
  });
}

std::vector<int64_t> permutation(int64_t n, uint64_t seed, uint64_t stream) {
  if (n < 0) throw ValueError("permutation", "n >= 0", fmt::format("{}", n));
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  Philox random{seed, stream};
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

template void fill_normal(Out<float, 1>, double, double, uint64_t, uint64_t);
template void fill_normal(Out<double, 1>, double, double, uint64_t, uint64_t);
template void fill_uniform(Out<float, 1>, double, double, uint64_t, uint64_t);
template void fill_uniform(Out<double, 1>, double, double, uint64_t, uint64_t);

}  // namespace dsllm
