// Philox4x32-10, a counter-based random number generator (Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As
// Easy as 1, 2, 3", SC 2011): ten rounds that mix a 128-bit counter under a 64-bit key into 128 random bits.
//
// There is no state. Random number i of a stream is a function of (seed, stream, i), so that any thread, on either
// machine, can compute any of them in any order:
//
//     key     = seed                            (low word, high word)
//     counter = block index, stream             (two words each, low first)
//
// A block is four words: four floats, or two doubles, or two normal numbers.
#pragma once

#include <cassert>
#include <cmath>
#include <cstdint>

#include "ref/core/view.hpp"

namespace dsllm {

struct PhiloxBlock {
  uint32_t word[4];
};

DSLLM_HD inline PhiloxBlock philox4x32_10(PhiloxBlock counter, uint32_t key0, uint32_t key1) {
  PhiloxBlock c = counter;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c.word[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c.word[2];
    c = {{static_cast<uint32_t>(p1 >> 32) ^ c.word[1] ^ key0, static_cast<uint32_t>(p1),
          static_cast<uint32_t>(p0 >> 32) ^ c.word[3] ^ key1, static_cast<uint32_t>(p0)}};
    key0 += 0x9E3779B9u;  // the golden ratio
    key1 += 0xBB67AE85u;  // sqrt(3) - 1
  }
  return c;
}

DSLLM_HD inline PhiloxBlock philox_block(uint64_t seed, uint64_t stream, uint64_t index) {
  const PhiloxBlock counter = {{static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                                static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)}};
  return philox4x32_10(counter, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

// The upper 24 bits as a multiple of 2^-24 in [0, 1).
DSLLM_HD inline float uniform_float(uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}
// The upper 53 of 64 bits as a multiple of 2^-53 in [0, 1).
DSLLM_HD inline double uniform_double(uint32_t high, uint32_t low) {
  return static_cast<double>((uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
}

// Two independent normal numbers by Box and Muller: with u, v uniform in (0, 1] and [0, 1),
//     r = sqrt(-2 ln u),   first = r cos(2 pi v),   second = r sin(2 pi v),
// none beyond 8.6. The same build gives the same bits; between CPU and GPU the last bit of ln, cos and sin may differ.
struct NormalPair {
  double first, second;
};
DSLLM_HD inline NormalPair normal_pair(const PhiloxBlock& b) {
  const double u = 1 - uniform_double(b.word[0], b.word[1]);
  const double angle = 6.283185307179586 * uniform_double(b.word[2], b.word[3]);
  const double r = std::sqrt(-2 * std::log(u));
  return {r * std::cos(angle), r * std::sin(angle)};
}

// Element i of a stream, as a uniform float, a uniform double, a normal number.
DSLLM_HD inline float philox_float(uint64_t seed, uint64_t stream, uint64_t i) {
  return uniform_float(philox_block(seed, stream, i / 4).word[i % 4]);
}
DSLLM_HD inline double philox_double(uint64_t seed, uint64_t stream, uint64_t i) {
  const PhiloxBlock b = philox_block(seed, stream, i / 2);
  return i % 2 == 0 ? uniform_double(b.word[0], b.word[1]) : uniform_double(b.word[2], b.word[3]);
}
DSLLM_HD inline double philox_normal(uint64_t seed, uint64_t stream, uint64_t i) {
  const NormalPair z = normal_pair(philox_block(seed, stream, i / 2));
  return i % 2 == 0 ? z.first : z.second;
}

// A stream read from front to back, where the count of numbers is not known beforehand (sampling, shuffling). Three
// numbers are all there is to save and to resume.
struct Philox {
  uint64_t seed = 0, stream = 0;
  uint64_t position = 0;  // 64-bit words drawn so far

  DSLLM_HD uint64_t next() {
    const PhiloxBlock b = philox_block(seed, stream, position / 2);
    const uint64_t half = position++ % 2;
    return uint64_t{b.word[2 * half]} << 32 | b.word[2 * half + 1];
  }

  // In [0, 1), 53 bits; the same numbers as philox_double.
  DSLLM_HD double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  // In [0, n), each equally likely: the 2^64 mod n smallest words are drawn again, so that the rest divides evenly.
  DSLLM_HD uint64_t below(uint64_t n) {
    assert(n > 0);
    const uint64_t surplus = (0 - n) % n;
    uint64_t x = next();
    while (x < surplus) x = next();
    return x % n;
  }
};

}  // namespace dsllm
