#include "sim/schedule/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ref/core/error.hpp"
#include "sim/schedule/recorder.hpp"

namespace dsllm::sim {

namespace {

constexpr double not_done = -1;  // of a result that nobody has made yet; a time is never negative

// What a pass of one chunk of one rank reads and writes. A result has a slot: of the forward of a part slots [part * m, ...),
// of its backward the same behind all of those, and m slots of zeros are the input of part 0.
struct Row {
  int64_t forward_in = 0, forward_out = 0, backward_in = 0, backward_out = 0;
  double forward_s = 0, backward_input_s = 0, backward_weight_s = 0;
  double activation = 0, weight_context = 0;
  int32_t forward_to = 0, backward_to = 0;  // ranks; the rank itself: no send
  Stream forward_stream = Stream::send_next, backward_stream = Stream::send_previous;
  bool gather = false;       // the weights are still to be gathered
  int64_t weights_left = 0;  // backwards of weights to come; the last one starts the reduction
};

struct RankState {
  int64_t next = 0;            // in the list
  int64_t waits_for = -1;      // a slot
  double clock = 0;            // end of the last pass
  double stream_free[2] = {};  // of the sends to the next and to the previous rank
  double sync_free = 0;
  double busy = 0, first_start = -1;
  double bytes = 0, peak = 0;
  int64_t sends = 0;
};

// The first forward of a chunk, in pieces as its weights arrive: at most as fast as they do. Returns its end.
template <bool record>
double gather_and_forward(int32_t rank, double gather_s, int64_t buckets, double start, double duration,
                          const Pass& pass, double& stream_free, Recorder& recorder) {
  const double piece = gather_s / static_cast<double>(buckets);
  const double share = duration / static_cast<double>(buckets);
  double end = start;
  for (int64_t i = 0; i < buckets; ++i) {
    if constexpr (record) recorder.sync(EventKind::gather, rank, pass, stream_free, stream_free + piece);
    stream_free += piece;
    end = std::max(end, stream_free) + share;
  }
  return end;
}

// The last backward of a chunk ran from start to end; its gradients are reduced piece by piece as they are done.
template <bool record>
void reduce(int32_t rank, double reduce_s, int64_t buckets, double start, double end, const Pass& pass,
            double& stream_free, Recorder& recorder) {
  if (!(reduce_s > 0)) return;
  const double piece = reduce_s / static_cast<double>(buckets);
  for (int64_t i = 1; i <= buckets; ++i) {
    const double done = start + (end - start) * static_cast<double>(i) / static_cast<double>(buckets);
    const double begin = std::max(stream_free, done);
    stream_free = begin + piece;
    if constexpr (record) recorder.sync(EventKind::reduce, rank, pass, begin, stream_free);
  }
}

}  // namespace

struct Engine::Buffers {
  std::vector<Row> rows;      // [ranks * chunks]
  std::vector<double> ready;  // [slots], when a result has arrived where it is needed
  std::vector<RankState> ranks;
  std::vector<int32_t> runnable;
  Recorder recorder;

  int64_t chunks = 1, parts = 1, m = 1;

  void prepare(const Pipeline& pipeline, const RunOptions& options);
  template <bool record>
  void sweep(const Pipeline& pipeline, const Schedule& schedule, const RunOptions& options);
  void check_done(const Schedule& schedule) const;
  template <bool record>
  void end_of_step(const RunOptions& options, PipelineRun& result);
};

void validate(const RunOptions& options, const Pipeline& pipeline) {
  if (!options.sync.empty() && static_cast<int64_t>(options.sync.size()) != pipeline.stages)
    throw ConfigError("sync", fmt::format("[{}], one a stage", pipeline.stages),
                      fmt::format("[{}]", options.sync.size()));
  for (const RankSync& s : options.sync)
    for (const double seconds : {s.gather_s, s.reduce_s, s.optimizer_s})
      if (!(seconds >= 0 && std::isfinite(seconds)))
        throw ConfigError("sync", "finite times, 0 or more", fmt::to_string(seconds));
  if (options.buckets < 1 || options.buckets > 1024)
    throw ConfigError("buckets", "1 to 1024", fmt::to_string(options.buckets));
}

Engine::Engine() : buffers_(std::make_unique<Buffers>()) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

void Engine::Buffers::prepare(const Pipeline& pipeline, const RunOptions& options) {
  const int64_t p = pipeline.stages;
  const bool dual = pipeline.kind == ScheduleKind::dualpipe;
  chunks = chunks_of(pipeline);
  m = pipeline.micro_batches;
  parts = dual ? p : p * chunks;
  const int64_t slots = parts * m;
  ready.assign(static_cast<size_t>(2 * slots), not_done);
  ready.resize(static_cast<size_t>(2 * slots + m), 0.0);
  ranks.assign(static_cast<size_t>(p), {});
  rows.resize(static_cast<size_t>(p * chunks));
  for (int64_t r = 0; r < p; ++r)
    for (int64_t c = 0; c < chunks; ++c) {
      const auto index = static_cast<size_t>(r * chunks + c);
      const int64_t part = part_of(pipeline.kind, p, r, c);
      const int64_t next = dual && c == 1 ? r - 1 : (r + 1) % p;  // where part + 1 is
      const int64_t previous = dual && c == 1 ? r + 1 : (r + p - 1) % p;
      const bool first = part == 0, last = part == parts - 1;
      Row& row = rows[index];
      row = {};
      row.forward_in = first ? 2 * slots : (part - 1) * m;
      row.forward_out = part * m;
      row.backward_in = last ? part * m : slots + (part + 1) * m;
      row.backward_out = slots + part * m;
      row.forward_s = pipeline.times[index].forward_s;
      row.backward_input_s = pipeline.times[index].backward_input_s;
      row.backward_weight_s = pipeline.times[index].backward_weight_s;
      row.activation = pipeline.bytes.empty() ? 1 : pipeline.bytes[index].activation;
      row.weight_context = pipeline.bytes.empty() ? 0 : pipeline.bytes[index].weight_context;
      row.forward_to = static_cast<int32_t>(last ? r : next);
      row.backward_to = static_cast<int32_t>(first ? r : previous);
      if (dual && c == 1) std::swap(row.forward_stream, row.backward_stream);
      row.gather = !options.sync.empty() && options.sync[static_cast<size_t>(r)].gather_s > 0;
      row.weights_left = dual ? m / 2 : m;
    }
}

template <bool record>
void Engine::Buffers::sweep(const Pipeline& pipeline, const Schedule& schedule, const RunOptions& options) {
  const double send_s = pipeline.send_s;
  const bool blocks = pipeline.send_blocks;
  const bool syncs = !options.sync.empty();
  double* const arrived = ready.data();
  runnable.clear();
  for (int64_t r = pipeline.stages; r-- > 0;) runnable.push_back(static_cast<int32_t>(r));

  while (!runnable.empty()) {
    const int32_t r = runnable.back();
    runnable.pop_back();
    RankState state = ranks[static_cast<size_t>(r)];
    Row* const mine = rows.data() + r * chunks;
    const Pass* const passes = schedule.passes.data() + schedule.begin[static_cast<size_t>(r)];
    const int64_t count = schedule.begin[static_cast<size_t>(r) + 1] - schedule.begin[static_cast<size_t>(r)];

    // A result is done at `end`: it is there at once for the rank itself, and after a send for another one.
    const auto deliver = [&](int64_t slot, int32_t to, Stream stream, double end, const Pass& pass,
                             EventKind kind) {
      double at = end;
      if (to != r) {
        double& free = state.stream_free[stream == Stream::send_next ? 0 : 1];
        const double start = std::max(end, free);
        at = free = start + send_s;
        ++state.sends;
        if (blocks) state.clock = std::max(state.clock, at);
        if constexpr (record) recorder.send(kind, stream, r, to, pass, start, at);
      }
      arrived[slot] = at;
      RankState& other = ranks[static_cast<size_t>(to)];
      if (to != r && other.waits_for == slot) {
        other.waits_for = -1;
        runnable.push_back(to);
      }
    };
    const auto hold = [&](double bytes, double at) {
      state.bytes += bytes;
      state.peak = std::max(state.peak, state.bytes);
      if constexpr (record) recorder.memory(r, at, state.bytes);
    };

    for (; state.next < count; ++state.next) {
      const Pass& pass = passes[state.next];
      const bool forward = pass.kind == PassKind::forward || pass.kind == PassKind::pair;
      const bool backward = pass.kind != PassKind::forward && pass.kind != PassKind::backward_weight;
      Row& f = mine[pass.chunk];
      Row& b = pass.kind == PassKind::pair ? mine[pass.pair_chunk] : f;
      const int64_t f_batch = pass.micro_batch;
      const int64_t b_batch = pass.kind == PassKind::pair ? pass.pair_micro_batch : f_batch;

      // What it waits for.
      double start = state.clock;
      const auto needs = [&](int64_t slot) {
        if (arrived[slot] < 0) {
          state.waits_for = slot;
          return false;
        }
        start = std::max(start, arrived[slot]);
        return true;
      };
      if (forward && !needs(f.forward_in + f_batch)) break;
      if (backward && !needs(b.backward_in + b_batch)) break;
      if (pass.kind == PassKind::backward_weight && arrived[b.backward_out + b_batch] < 0) {
        state.waits_for = b.backward_out + b_batch;  // in this rank's own list, further on or never
        break;
      }

      // How long it takes.
      double duration = 0;
      switch (pass.kind) {
        case PassKind::forward:
          duration = f.forward_s;
          break;
        case PassKind::backward_input:
          duration = b.backward_input_s;
          break;
        case PassKind::backward_weight:
          duration = b.backward_weight_s;
          break;
        case PassKind::backward:
          duration = b.backward_input_s + b.backward_weight_s;
          break;
        case PassKind::pair:
          duration = pipeline.overlapped_pair_s > 0
                         ? pipeline.overlapped_pair_s
                         : f.forward_s + (b.backward_input_s + b.backward_weight_s);
          break;
      }
      double end = start + duration;
      if (syncs && forward && f.gather) {
        f.gather = false;
        end = gather_and_forward<record>(r, options.sync[static_cast<size_t>(r)].gather_s, options.buckets,
                                         start, duration, pass, state.sync_free, recorder);
      }
      state.busy += duration;
      if (state.first_start < 0) state.first_start = start;
      state.clock = end;
      if constexpr (record) recorder.pass(r, pass, start, end);

      // What it leaves behind.
      if (forward) {
        hold(f.activation, start);
        deliver(f.forward_out + f_batch, f.forward_to, f.forward_stream, end, pass,
                EventKind::send_activation);
      }
      if (backward) {
        const bool whole = pass.kind != PassKind::backward_input;
        hold(whole ? -b.activation : b.weight_context - b.activation, end);
        deliver(b.backward_out + b_batch, b.backward_to, b.backward_stream, end, pass,
                EventKind::send_gradient);
      }
      if (pass.kind == PassKind::backward_weight) hold(-b.weight_context, end);
      if (pass.kind >= PassKind::backward_weight) {
        if (--b.weights_left == 0 && syncs)
          reduce<record>(r, options.sync[static_cast<size_t>(r)].reduce_s, options.buckets, start, end, pass,
                         state.sync_free, recorder);
      }
    }
    ranks[static_cast<size_t>(r)] = state;
  }
}

// Nobody can go on: either all are done, or some wait for what will never come.
void Engine::Buffers::check_done(const Schedule& schedule) const {
  std::string waiting;
  int64_t stuck = 0;
  for (int64_t r = 0; r < schedule.ranks(); ++r) {
    const RankState& state = ranks[static_cast<size_t>(r)];
    const std::span<const Pass> list = schedule.rank(r);
    if (state.next == static_cast<int64_t>(list.size())) continue;
    if (++stuck > 4) continue;
    const int64_t slots = parts * m;
    const bool forward = state.waits_for < slots;
    const int64_t slot = forward ? state.waits_for : state.waits_for - slots;
    waiting += fmt::format("{}rank {} waits before {} for the {} of micro-batch {} by part {} of the model",
                           waiting.empty() ? "" : "; ", r,
                           to_string(list[static_cast<size_t>(state.next)], chunks > 1),
                           forward ? "forward" : "backward", slot % m, slot / m);
  }
  if (stuck > 4) waiting += fmt::format("; and {} more", stuck - 4);
  if (stuck > 0) throw ValueError("schedule", "an order in which every pass gets what it needs", waiting);

  for (size_t r = 0; r < ranks.size(); ++r)
    if (!(std::abs(ranks[r].bytes) <= 1e-9 * ranks[r].peak))
      throw ValueError("schedule", "activations that are all freed at the end",
                       fmt::format("{} left on rank {}", ranks[r].bytes, r));
}

// Optimizer steps, and the figures of all ranks.
template <bool record>
void Engine::Buffers::end_of_step(const RunOptions& options, PipelineRun& result) {
  result.ranks.resize(ranks.size());
  double all_reduced = 0, busy = 0;
  result.makespan_s = result.passes_s = result.span_s = result.bubble_of_span = 0;
  for (const RankState& state : ranks) all_reduced = std::max({all_reduced, state.clock, state.sync_free});
  for (size_t r = 0; r < ranks.size(); ++r) {
    const RankState& state = ranks[r];
    RankRun& rank = result.ranks[r];
    rank.busy_s = state.busy;
    rank.first_start_s = std::max(0.0, state.first_start);
    rank.last_end_s = state.clock;
    rank.end_s = std::max(state.clock, state.sync_free);
    rank.peak_bytes = state.peak;
    if (!options.sync.empty() && options.sync[r].optimizer_s > 0) {
      const double start = options.global_norm ? all_reduced : rank.end_s;
      rank.end_s = start + options.sync[r].optimizer_s;
      if constexpr (record)
        recorder.sync(EventKind::optimizer, static_cast<int32_t>(r), {}, start, rank.end_s);
    }
    busy += rank.busy_s;
    result.passes_s = std::max(result.passes_s, rank.last_end_s);
    result.makespan_s = std::max(result.makespan_s, rank.end_s);
    const double span = rank.last_end_s - rank.first_start_s;
    if (span > result.span_s) {
      result.span_s = span;
      result.bubble_of_span = (span - rank.busy_s) / span;
    }
  }
  for (RankRun& rank : result.ranks) rank.idle_s = result.makespan_s - rank.busy_s;
  busy /= static_cast<double>(ranks.size());
  result.bubble_of_total = result.passes_s > 0 ? (result.passes_s - busy) / result.passes_s : 0;
  result.bubble_of_ideal = busy > 0 ? (result.passes_s - busy) / busy : 0;
}

const PipelineRun& Engine::run(const Pipeline& pipeline, const RunOptions& options, Timeline* timeline) {
  validate(pipeline);
  build_schedule(pipeline, schedule_);
  return run_lists(pipeline, schedule_, options, timeline);
}

const PipelineRun& Engine::run(const Pipeline& pipeline, const Schedule& schedule, const RunOptions& options,
                               Timeline* timeline) {
  validate(pipeline);
  check_lists(pipeline, schedule);
  return run_lists(pipeline, schedule, options, timeline);
}

const PipelineRun& Engine::run_lists(const Pipeline& pipeline, const Schedule& schedule,
                                     const RunOptions& options, Timeline* timeline) {
  validate(options, pipeline);
  Buffers& b = *buffers_;
  b.prepare(pipeline, options);
  if (timeline != nullptr) {
    b.recorder.start(*timeline, pipeline);
    b.sweep<true>(pipeline, schedule, options);
    b.check_done(schedule);
    b.end_of_step<true>(options, result_);
    b.recorder.finish(result_.makespan_s);
  } else {
    b.sweep<false>(pipeline, schedule, options);
    b.check_done(schedule);
    b.end_of_step<false>(options, result_);
  }
  result_.passes = static_cast<int64_t>(schedule.passes.size());
  result_.sends = 0;
  for (const RankState& state : b.ranks) result_.sends += state.sends;
  return result_;
}

PipelineRun run_pipeline(const Pipeline& pipeline, const RunOptions& options, Timeline* timeline) {
  Engine engine;
  return engine.run(pipeline, options, timeline);
}

}  // namespace dsllm::sim
