// Pipelines at random, for tests of what must hold for all of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "sim/schedule/events.hpp"

namespace dsllm::sim {

constexpr ScheduleKind all_kinds[] = {ScheduleKind::gpipe,       ScheduleKind::one_f_one_b,
                                      ScheduleKind::interleaved, ScheduleKind::zb_h1,
                                      ScheduleKind::zb_h2,       ScheduleKind::dualpipe};

struct Chance {
  std::mt19937_64 bits;
  explicit Chance(uint64_t seed) : bits(seed) {}
  int64_t whole(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1));
  }
  double real(double low, double high) {
    return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1p-53;
  }
};

// Up to 10 stages and 40 micro-batches; F, B around 1, W at most either; a stage differs from the others by at most `spread`,
// a send takes at most `send` of F.
inline Pipeline random_pipeline(Chance& chance, ScheduleKind kind, double spread, double send) {
  Pipeline p;
  p.kind = kind;
  p.stages = chance.whole(1, 10);
  p.micro_batches = chance.whole(1, 40);
  if (kind == ScheduleKind::interleaved) {
    p.chunks = chance.whole(1, 4);
    p.micro_batches = p.stages * chance.whole(1, 5);
  }
  if (kind == ScheduleKind::dualpipe) {
    p.stages = 2 * chance.whole(1, 5);
    p.micro_batches = 2 * p.stages + 2 * chance.whole(0, 15);
  }
  const double f = chance.real(0.5, 1.5), b = chance.real(0.5, 1.5), w = std::min(f, b) * chance.real(0, 1);
  const int64_t chunks = chunks_of(p);
  const auto parts = static_cast<double>(kind == ScheduleKind::dualpipe ? 1 : chunks);
  for (int64_t s = 0; s < p.stages; ++s) {
    double scale = chance.real(1 - spread, 1 + spread);
    for (int64_t c = 0; c < chunks; ++c) {
      p.times.push_back({f * scale / parts, b * scale / parts, w * scale / parts});
      const auto activation = static_cast<double>(chance.whole(1, 1'000'000'000));
      p.bytes.push_back({activation, static_cast<double>(chance.whole(0, 1000)) / 1000 * activation});
      if (kind == ScheduleKind::dualpipe) scale = chance.real(1 - spread, 1 + spread);
    }
  }
  p.send_s = chance.real(0, send) * f / parts;
  return p;
}

}  // namespace dsllm::sim
