#include "sim/schedule/events.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "ref/core/error.hpp"

namespace dsllm::sim {

std::string to_string(const Pass& pass, bool with_chunk) {
  const auto name = [&](const char* letter, int32_t micro_batch, int16_t chunk) {
    return with_chunk ? fmt::format("{}{}.{}", letter, micro_batch, chunk)
                      : fmt::format("{}{}", letter, micro_batch);
  };
  switch (pass.kind) {
    case PassKind::forward:
      return name("F", pass.micro_batch, pass.chunk);
    case PassKind::backward_input:
      return name("B", pass.micro_batch, pass.chunk);
    case PassKind::backward_weight:
      return name("W", pass.micro_batch, pass.chunk);
    case PassKind::backward:
      return name("BW", pass.micro_batch, pass.chunk);
    case PassKind::pair:
      return name("F", pass.micro_batch, pass.chunk) + "&" +
             name("BW", pass.pair_micro_batch, pass.pair_chunk);
  }
  return "?";
}

int64_t chunks_of(const Pipeline& pipeline) noexcept {
  if (pipeline.kind == ScheduleKind::dualpipe) return 2;
  return pipeline.kind == ScheduleKind::interleaved ? pipeline.chunks : 1;
}

int64_t part_of(ScheduleKind kind, int64_t stages, int64_t stage, int64_t chunk) noexcept {
  if (kind == ScheduleKind::dualpipe) return chunk == 0 ? stage : stages - 1 - stage;
  return chunk * stages + stage;
}

namespace {

void check_counts(const Pipeline& p) {
  const auto at_least_one = [](const char* field, int64_t value, int64_t most) {
    if (value < 1 || value > most)
      throw ConfigError(field, fmt::format("1 to {}", most), fmt::to_string(value));
  };
  at_least_one("stages", p.stages, 1 << 16);
  at_least_one("micro_batches", p.micro_batches, 1 << 24);
  at_least_one("chunks", p.chunks, 1 << 14);
  // Every pass of every stage is written down: 2^24 forwards and their backwards are up to 0.8 GB of lists.
  if (p.stages * chunks_of(p) > (int64_t{1} << 24) / p.micro_batches)
    throw ConfigError(
        "micro_batches", "at most 2^24 forwards of all stages and chunks together",
        fmt::format("{} stages * {} chunks * {} micro-batches", p.stages, chunks_of(p), p.micro_batches));
  if (p.kind == ScheduleKind::interleaved) {
    if (p.chunks > 1 && p.micro_batches % p.stages != 0)
      throw ConfigError("micro_batches",
                        fmt::format("a multiple of stages = {} for interleaved 1F1B", p.stages),
                        fmt::to_string(p.micro_batches));
  } else if (p.chunks != 1 && !(p.kind == ScheduleKind::dualpipe && p.chunks == 2)) {
    throw ConfigError("chunks", fmt::format("1 for {}", to_string(p.kind)), fmt::to_string(p.chunks));
  }
  if (p.kind == ScheduleKind::dualpipe) {
    if (p.stages % 2 != 0)
      throw ConfigError("stages", "an even number for DualPipe", fmt::to_string(p.stages));
    if (p.micro_batches % 2 != 0)
      throw ConfigError("micro_batches", "an even number for DualPipe", fmt::to_string(p.micro_batches));
    if (p.micro_batches < 2 * p.stages)
      throw ConfigError("micro_batches", fmt::format("at least 2 * stages = {} for DualPipe", 2 * p.stages),
                        fmt::to_string(p.micro_batches));
  }
}

void check_number(const char* field, double value) {
  if (!(value >= 0 && value <= std::numeric_limits<double>::max()))
    throw ConfigError(field, "a finite number, 0 or more", fmt::to_string(value));
}

}  // namespace

void validate(const Pipeline& p) {
  check_counts(p);
  const auto rows = static_cast<size_t>(p.stages * chunks_of(p));
  const std::string extent = fmt::format("[stages * chunks] = [{} * {}]", p.stages, chunks_of(p));
  if (p.times.size() != rows) throw ConfigError("times", extent, fmt::format("[{}]", p.times.size()));
  if (!p.bytes.empty() && p.bytes.size() != rows)
    throw ConfigError("bytes", extent + " or none", fmt::format("[{}]", p.bytes.size()));
  for (const ChunkTimes& t : p.times) {
    check_number("forward_s", t.forward_s);
    check_number("backward_input_s", t.backward_input_s);
    check_number("backward_weight_s", t.backward_weight_s);
  }
  for (const ChunkBytes& b : p.bytes) {
    check_number("activation", b.activation);
    check_number("weight_context", b.weight_context);
    if (b.weight_context > b.activation)
      throw ConfigError("weight_context", fmt::format("at most the activation = {}", b.activation),
                        fmt::to_string(b.weight_context));
  }
  check_number("send_s", p.send_s);
  check_number("overlapped_pair_s", p.overlapped_pair_s);
}

void build_schedule(const Pipeline& p, Schedule& schedule) {
  check_counts(p);
  schedule.clear();
  switch (p.kind) {
    case ScheduleKind::gpipe:
      return build_gpipe(p.stages, p.micro_batches, schedule);
    case ScheduleKind::one_f_one_b:
      return build_one_f_one_b(p.stages, p.micro_batches, schedule);
    case ScheduleKind::interleaved:
      return build_interleaved(p.stages, p.micro_batches, p.chunks, schedule);
    case ScheduleKind::zb_h1:
      return build_zb_h1(p.stages, p.micro_batches, schedule);
    case ScheduleKind::zb_h2:
      return build_zb_h2(p.stages, p.micro_batches, schedule);
    case ScheduleKind::dualpipe:
      return build_dualpipe(p.stages, p.micro_batches, schedule);
  }
}

Schedule build_schedule(const Pipeline& pipeline) {
  Schedule schedule;
  build_schedule(pipeline, schedule);
  return schedule;
}

}  // namespace dsllm::sim
