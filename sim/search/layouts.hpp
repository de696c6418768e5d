// The layouts of a model on a cluster: every way to divide the GPUs into dp * tp * pp * cp, with every micro-batch,
// schedule, number of chunks, stage of ZeRO, sequence parallelism and recomputation. They have numbers, so that a search
// can be cut into pieces, and simpler layouts come first, so that a tie goes to them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/scenario.hpp"

namespace dsllm::sim {

// A field that is set has this value; the others are free. Context parallelism is only used where it is asked for.
struct LayoutChoices {
  std::optional<int64_t> dp = {}, tp = {}, pp = {}, interleave = {}, zero = {}, micro_batch = {};
  std::optional<bool> sp = {};
  std::optional<ScheduleKind> schedule = {};
  std::optional<Recompute> recompute = {};
  int64_t cp = 1;
};

// How often a rule of why_impossible() was broken, and the first layout that did.
struct BrokenRule {
  std::string rule;
  int64_t count = 0;
  Layout example;
};

// Adds the counts by rule; the first example stays.
void add_broken_rules(std::vector<BrokenRule>& to, const std::vector<BrokenRule>& more);

// The space is a list of divisions (tp, pp, dp); each has its lists of micro-batches, pipelines and so on, of which all
// combinations count. Divisions that break a rule whatever the rest are left out at once. What makes no difference is
// left out too, so that no two layouts are the same run: a schedule for one stage, sequence parallelism for tp = 1, ZeRO for
// one replica, and interleaving with one chunk, unless they are chosen.
class LayoutSpace {
 public:
  // base: model, cluster, recipe, and layout.global_batch; its other layout fields are not read. Throws ConfigError for a
  // choice that does not divide the GPUs, naming the nearest that does.
  LayoutSpace(const Scenario& base, const LayoutChoices& choices);

  const Scenario& base() const { return base_; }
  int64_t size() const { return size_; }
  // Layout number `index`, in [0, size()). Not every one is possible: see why_impossible().
  Layout at(int64_t index) const;

  int64_t divisions() const {
    return divisions_;
  }  // of the GPUs into tp, pp and dp, the impossible among them
  const std::vector<BrokenRule>& broken() const { return broken_; }  // by divisions

 private:
  struct Pipe {
    ScheduleKind schedule;
    int64_t interleave;
  };
  struct Division {
    int64_t begin = 0;  // number of its first layout
    int64_t tp = 1, pp = 1, dp = 1;
    std::vector<Pipe> pipes;
    std::vector<int64_t> micro_batches, zeros;
    std::vector<bool> sps;
  };
  void add(const LayoutChoices& choices, int64_t tp, int64_t pp, int64_t dp);

  Scenario base_;
  int64_t cp_ = 1, size_ = 0, divisions_ = 0;
  std::vector<Recompute> recomputes_;
  std::vector<Division> parts_;
  std::vector<BrokenRule> broken_;
};

// All divisors of n, rising.
std::vector<int64_t> divisors(int64_t n);

}  // namespace dsllm::sim
