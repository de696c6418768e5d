// The longest of a few chains of passes, each of which must follow the one before, is a lower bound of the schedule's time.
// For stage r of 1F1B, ZB-H1, ZB-H2 and interleaved the chains are:
//
//   fill    the first micro-batch walks to r;
//   early   r waits for its first B: the first micro-batch walks on to the end and back;
//   work    r is busy with all of its passes from then to its last B;
//   late    after its last F, r waits for the last micro-batch to walk to the end and back;
//   drain   the last micro-batch walks back to stage s <= r, which then does the W that it still owes.
//
// Sends are part of every walk. With them 1F1B has one more chain: micro-batches that walk to and fro between stages a and b
// all the time, n = b-a+1 of them in a round of sum(F+B+W) + 2 (n-1) send. That is the price of 1F1B's tight order which
// the formula (p-1)(F+B+W) does not show.
#include <algorithm>

#include "sim/schedule/closed_form.hpp"
#include "sim/schedule/events.hpp"

namespace dsllm::sim {

namespace {

// A stage as the chains see it. first: chunk 0; last: chunk v-1; all: the sum of its chunks.
struct Stage {
  double first_f, last_f, all_f;
  double first_b, last_b, all_b;
  double w;
};

// How a pipeline's times are read: whether W is a pass of its own, and what a send adds to a pass or to a walk.
struct Reader {
  const Pipeline& pipeline;
  int64_t p, v;
  bool split;
  double send;      // of a walk
  double blocking;  // of a pass whose sender waits

  explicit Reader(const Pipeline& pipe) noexcept
      : pipeline(pipe),
        p(pipe.stages),
        v(chunks_of(pipe)),
        split(pipe.kind == ScheduleKind::zb_h1 || pipe.kind == ScheduleKind::zb_h2),
        send(p == 1 || pipe.send_blocks ? 0 : pipe.send_s),
        blocking(p > 1 && pipe.send_blocks ? pipe.send_s : 0) {}

  Stage operator()(int64_t r) const noexcept {
    const ChunkTimes* t = pipeline.times.data() + r * v;
    Stage s{};
    for (int64_t c = 0; c < v; ++c) {
      const double f = t[c].forward_s + (r == p - 1 && c == v - 1 ? 0 : blocking);
      const double b =
          t[c].backward_input_s + (split ? 0 : t[c].backward_weight_s) + (r == 0 && c == 0 ? 0 : blocking);
      if (c == 0) s.first_f = f, s.first_b = b;
      s.last_f = f, s.last_b = b;
      s.all_f += f;
      s.all_b += b;
      s.w += split ? t[c].backward_weight_s : 0;
    }
    return s;
  }
};

int64_t positive(int64_t n) {
  return std::max<int64_t>(n, 0);
}

// The two times, and the mean of the ranks' work, from which the bubble rate follows.
struct Times {
  double makespan = 0, span = 0, busy = 0;
};

// What the order of a stage's passes says: F before the first B; W that may be owed.
struct Order {
  int64_t forwards, owed;
};

Order order_of(const Pipeline& pipeline, int64_t v, int64_t r) noexcept {
  const int64_t p = pipeline.stages, passes = pipeline.micro_batches * v;
  Order order{p - r, 0};
  if (pipeline.kind == ScheduleKind::interleaved && v > 1) order = {2 * (p - 1 - r) + (v - 1) * p + 1, 0};
  if (pipeline.kind == ScheduleKind::zb_h1) order = {p - r, r};
  if (pipeline.kind == ScheduleKind::zb_h2) order = {2 * (p - r) - 1, 2 * r};
  order.forwards = std::min(order.forwards, passes);
  return order;
}

// 1F1B, interleaved, ZB-H1, ZB-H2: the five links of the chains above, from the last stage to the first.
Times chains(const Pipeline& pipeline) noexcept {
  const Reader stage(pipeline);
  const int64_t p = pipeline.stages, v = stage.v, passes = pipeline.micro_batches * v;
  const double send = stage.send;
  const auto count = [](int64_t n) { return static_cast<double>(n); };
  double all_f = 0, all_b = 0;        // of the whole model
  double before_f = 0, before_b = 0;  // of the first chunks of the stages before r
  double after_f = 0, after_b = 0;    // of the last chunks of the stages behind r
  for (int64_t r = 0; r < p; ++r) {
    const Stage s = stage(r);
    all_f += s.all_f;
    all_b += s.all_b;
    before_f += s.first_f;
    before_b += s.first_b;
  }
  const double sends = count(p * v - 1) * send;  // of a walk through the whole model

  Times t;
  double back = 0;  // when the last B of stage r ends
  for (int64_t r = p; r-- > 0;) {
    const Stage s = stage(r);
    before_f -= s.first_f;
    before_b -= s.first_b;
    const double f = s.all_f / count(v), b = s.all_b / count(v);
    const Order order = order_of(pipeline, v, r);
    const double behind = count(p - 1 - r) * send, ahead = count(r) * send;

    const double fill = before_f + ahead;
    const double early = all_f + sends + after_b + behind;
    const double first_b = std::max(fill + count(order.forwards) * f, early);
    const int64_t rest = passes - order.forwards;  // F after the first B, and B before the last F
    const double work =
        first_b + count(rest) * f + count(passes) * b + count(positive(passes - 1 - order.owed)) * s.w;
    const double last_f = rest == 0
                              ? fill + count(passes) * f
                              : first_b + count(rest) * (f + b) + count(positive(rest - order.owed)) * s.w;
    const double late = last_f + after_f + behind + (all_b - before_b) + sends - ahead;
    const double drain = r == p - 1 ? 0 : back + send + s.first_b;
    back = std::max({work, late, drain});

    const double end = back + count(std::min(order.owed + 1, passes)) * s.w;
    t.makespan = std::max(t.makespan, end);
    t.span = std::max(t.span, end - fill);
    t.busy += count(pipeline.micro_batches) * (s.all_f + s.all_b + s.w) / count(p);
    after_f += s.last_f;
    after_b += s.last_b;
  }
  return t;
}

// To and fro between the stages a and b, as often as the micro-batches allow (1F1B; ZB-H1 with a W at each turn).
// Which a and b? Those of the longest round per micro-batch: the largest (sum of (t + 2 send) - 2 send) / n, t = F + B + W.
// A guess of it is raised (Dinkelbach) as long as some run of stages beats it, which Kadane's sweep tells in O(p).
double rounds(const Pipeline& pipeline) noexcept {
  const Reader stage(pipeline);
  const int64_t p = pipeline.stages, m = pipeline.micro_batches;
  const double twice = 2 * stage.send;
  const auto time = [&](int64_t r) {
    const ChunkTimes& t = pipeline.times[static_cast<size_t>(r)];
    return t.forward_s + t.backward_input_s + t.backward_weight_s;
  };
  int64_t first = 0, last = p - 1;
  double sum = -twice;
  for (int64_t r = 0; r < p; ++r) sum += time(r) + twice;
  for (int round = 0; round < 8; ++round) {
    const double rate = sum / static_cast<double>(last - first + 1);
    double gain = 0, best = 1e-12 * rate, run = 0, best_run = 0;
    int64_t begin = 0;
    bool found = false;
    for (int64_t r = 0; r < p; ++r) {
      if (gain <= 0) gain = 0, run = 0, begin = r;
      gain += time(r) + twice - rate;
      run += time(r) + twice;
      if (gain - twice > best)
        best = gain - twice, best_run = run - twice, first = begin, last = r, found = true;
    }
    if (!found) break;
    sum = best_run;
  }

  // The first micro-batch walks down to stage `last` and the last one back from there; m - 1 are left for rounds. Those
  // that are too few for a round make a smaller one, or wait for the slowest stage of it.
  const int64_t n = last - first + 1;
  const auto chain = [&](double walk, int64_t micro_batches) {
    const int64_t rest = micro_batches % n;
    double part = 0, slowest = 0;
    for (int64_t r = last; r >= first; --r) {
      if (last - r < rest) part += time(r) + (r < last ? twice : 0);
      slowest = std::max(slowest, time(r));
    }
    const int64_t laps = micro_batches / n;
    return walk + static_cast<double>(laps) * sum + std::max(part, static_cast<double>(rest) * slowest);
  };
  double walk = -twice;
  for (int64_t r = 0; r <= last; ++r) walk += time(r) + twice;
  double longest = chain(walk, m - 1);
  // Or it walks to the end, and a round between `last` and the end leads to the others.
  if (last < p - 1 && m - 1 >= p - last) {
    double link = time(last);
    for (int64_t r = last + 1; r < p; ++r) walk += time(r) + twice, link += time(r) + twice;
    longest = std::max(longest, chain(walk + link, m - 1 - (p - last)));
  }
  return longest;
}

// What rounds of all stages cost ZB-H1 beyond the work of its slowest stage, where two sends are longer than the W that
// would otherwise fill the time (small W only): such a round has p-1 W less and 2 (p-1) sends more.
double rounds_beyond_weights(const Pipeline& pipeline) noexcept {
  const int64_t p = pipeline.stages, left = pipeline.micro_batches - 1 - p;
  if (left <= 0) return 0;
  double sum = 0, weights = 0, slowest = 0;
  for (const ChunkTimes& t : pipeline.times) {
    const double time = t.forward_s + t.full_backward_s();
    sum += time;
    weights += t.backward_weight_s;
    slowest = std::max(slowest, time);
  }
  const auto others = static_cast<double>(p - 1);
  const double gain = sum - static_cast<double>(p) * slowest +
                      others * (2 * pipeline.send_s - weights / static_cast<double>(p));
  const int64_t whole = left / p;
  const double rounds = static_cast<double>(whole) + static_cast<double>(positive(left % p - 1)) / others;
  return std::max(0.0, gain * rounds);
}

// Forwards flow through the stages as through a row of machines, then backwards.
Times flow(const Pipeline& pipeline) noexcept {
  const Reader stage(pipeline);
  const int64_t p = pipeline.stages;
  const auto others = static_cast<double>(pipeline.micro_batches - 1);
  double f = 0, b = 0, most_f = stage.send, most_b = stage.send, busy = 0;
  for (int64_t r = 0; r < p; ++r) {
    const Stage s = stage(r);
    f += s.all_f;
    b += s.all_b;
    most_f = std::max(most_f, s.all_f);
    most_b = std::max(most_b, s.all_b);
    busy += (others + 1) * (s.all_f + s.all_b);
  }
  const double time = f + b + 2 * static_cast<double>(p - 1) * stage.send + others * (most_f + most_b);
  return {time, time, busy / static_cast<double>(p)};
}

// DualPipe: the work of the slowest rank and the gaps. With g = p/2 - 1 and F, B, W of a part, F&B its pair, the gaps are
//   max(g (F&B + F), g (F&B + B) - F) - g (W + min(W, B)),
// which is the published g (F&B + (B+W) - 3W) where F = B >= W. Found by comparing with the engine.
Times both_ends(const Pipeline& pipeline) noexcept {
  const int64_t p = pipeline.stages, m = pipeline.micro_batches;
  const bool overlapped = pipeline.overlapped_pair_s > 0;
  const double blocking = pipeline.send_blocks ? pipeline.send_s : 0;
  double f = 0, b = 0, w = 0, slowest = 0, busy = 0;
  for (int64_t r = 0; r < p; ++r) {
    const ChunkTimes& x = pipeline.times[static_cast<size_t>(2 * r)];
    const ChunkTimes& y = pipeline.times[static_cast<size_t>(2 * r + 1)];
    const double both = x.forward_s + y.forward_s + x.full_backward_s() + y.full_backward_s();
    // The pairs of the two middle ranks, whose idle time the formula tells.
    const double saved =
        overlapped ? static_cast<double>(m - p - 1) * (both / 2 - pipeline.overlapped_pair_s) : 0;
    const double work = static_cast<double>(m) / 2 * both - saved + static_cast<double>(2 * m) * blocking;
    slowest = std::max(slowest, work);
    busy += work;
    f += x.forward_s + y.forward_s + 2 * blocking;
    b += x.backward_input_s + y.backward_input_s + 2 * blocking;
    w += x.backward_weight_s + y.backward_weight_s;
  }
  const auto ranks = static_cast<double>(p), parts = 2 * ranks, gaps = ranks / 2 - 1;
  f /= parts, b /= parts, w /= parts;
  const double pair = overlapped ? pipeline.overlapped_pair_s : f + b + w;
  const double gap = std::max(gaps * (pair + f), gaps * (pair + b) - f) - gaps * (w + std::min(w, b));
  // A slow rank waits less than the others: three quarters of the gaps, as the engine shows on random stages. Or nobody is so
  // slow, and sends in both directions delay every round of p micro-batches.
  const double sends =
      2 * (1 - 1 / ranks) * static_cast<double>(m) * (pipeline.send_blocks ? 0 : pipeline.send_s);
  const double idle = std::max(0.0, gap);
  const double time = std::max(slowest + 0.75 * idle, busy / ranks + idle + sends);
  return {time, time, busy / ranks};
}

}  // namespace

PipelineEstimate estimate_pipeline(const Pipeline& pipeline) noexcept {
  const bool sends = pipeline.send_s > 0 && !pipeline.send_blocks && pipeline.stages > 1;
  Times t;
  switch (pipeline.kind) {
    case ScheduleKind::gpipe:
      t = flow(pipeline);
      break;
    case ScheduleKind::dualpipe:
      t = both_ends(pipeline);
      break;
    case ScheduleKind::zb_h1: {
      t = chains(pipeline);
      const double more = sends ? rounds_beyond_weights(pipeline) : 0;
      t.makespan += more;
      t.span += more;
      break;
    }
    default: {
      t = chains(pipeline);
      const bool one_f_one_b = pipeline.kind != ScheduleKind::zb_h2 && chunks_of(pipeline) == 1;
      const double to_and_fro = sends && one_f_one_b ? rounds(pipeline) : 0;
      t.makespan = std::max(t.makespan, to_and_fro);
      t.span = std::max(t.span, to_and_fro);
    }
  }
  if (pipeline.send_blocks && pipeline.stages > 1) {  // the sender's wait was counted as work
    const bool dual = pipeline.kind == ScheduleKind::dualpipe;
    const int64_t parts = dual ? pipeline.stages + 1 : pipeline.stages * chunks_of(pipeline);
    t.busy -= static_cast<double>(2 * (parts - 1) * pipeline.micro_batches) /
              static_cast<double>(pipeline.stages) * pipeline.send_s;
  }
  return {t.makespan, t.span, t.makespan > 0 ? (t.makespan - t.busy) / t.makespan : 0};
}

}  // namespace dsllm::sim
