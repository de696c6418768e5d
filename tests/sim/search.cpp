// The space of layouts and the search, against loops over everything and costs that are easy to see through.
#include "sim/search/search.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>
#include <tuple>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "sim/search/sweep.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

// A small model, so that loops over everything end: 6 layers, 8 heads.
Scenario small(int64_t gpus, int64_t global_batch) {
  Scenario s;
  s.model.n_layers = 6;
  s.model.d_model = 64;
  s.model.n_heads = 8;
  s.model.n_kv_heads = 8;
  s.model.d_head = 8;
  s.model.d_ff = 256;
  s.model.vocab_size = 512;
  s.model.seq_len = 32;
  s.cluster.gpus = gpus;
  s.layout.global_batch = global_batch;
  return s;
}

auto key(const Layout& l) {
  return std::tuple(l.dp, l.tp, l.pp, l.cp, l.interleave, static_cast<int>(l.schedule), l.zero, l.sp,
                    l.micro_batch, l.global_batch, static_cast<int>(l.recompute));
}
using Key = decltype(key(Layout{}));

// Two fields that make no difference: the header of LayoutSpace says which of such layouts stands for all.
bool stands_for_others(const Layout& l) {
  if (l.pp == 1 && (l.schedule != ScheduleKind::one_f_one_b || l.interleave != 1)) return false;
  if (l.schedule == ScheduleKind::interleaved && l.interleave == 1) return false;
  return !(l.tp == 1 && l.sp) && !(l.dp * l.cp == 1 && l.zero > 0);
}

// Every combination of values up to the largest that could be, by loops.
std::vector<Layout> by_loops(const Scenario& base) {
  std::vector<Layout> all;
  Scenario s = base;
  Layout& l = s.layout;
  const int64_t gpus = base.cluster.gpus;
  for (l.tp = 1; l.tp <= gpus; ++l.tp)
    for (l.pp = 1; l.pp <= gpus; ++l.pp)
      for (l.dp = 1; l.dp * l.tp * l.pp <= gpus; ++l.dp)
        for (l.interleave = 1; l.interleave <= base.model.n_layers; ++l.interleave)
          for (const char* schedule : {"gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2", "dualpipe"})
            for (l.micro_batch = 1; l.micro_batch <= l.global_batch; ++l.micro_batch)
              for (const char* recompute : {"none", "selective", "full"})
                for (l.zero = 0; l.zero <= 3; ++l.zero)
                  for (const bool sp : {false, true}) {
                    l.schedule = schedule_from_string(schedule);
                    l.recompute = recompute_from_string(recompute);
                    l.sp = sp;
                    if (stands_for_others(l) && why_impossible(s) == nullptr) all.push_back(l);
                  }
  return all;
}

// The possible layouts of a space in its order.
std::vector<Layout> possible(const LayoutSpace& space) {
  std::vector<Layout> all;
  Scenario s = space.base();
  for (int64_t i = 0; i < space.size(); ++i) {
    s.layout = space.at(i);
    if (why_impossible(s) == nullptr) all.push_back(s.layout);
  }
  return all;
}

// Made up: few different times, so that ties are common, and a limit that about half keep.
Cost toy(const Scenario& s) {
  const Layout& l = s.layout;
  const int64_t time = (l.tp * 3 + l.pp * 5 + l.interleave + l.micro_batch * 7 + l.zero * 2 +
                        static_cast<int64_t>(l.schedule) + static_cast<int64_t>(l.recompute) * 4) %
                       17;
  const int64_t bytes = (l.tp * 7 + l.pp * 3 + l.micro_batch * 11 + l.zero * 5 + (l.sp ? 1 : 3) +
                         static_cast<int64_t>(l.recompute)) %
                        23;
  return {static_cast<double>(time), static_cast<double>(bytes), bytes < 12};
}

// A cost that needs no buffers.
CostModel model_of(CostFunction cost) {
  return [cost](const Scenario&) { return cost; };
}
const CostModel toy_model = model_of(toy);

bool same(const std::vector<Candidate>& a, const std::vector<Candidate>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Candidate& x, const Candidate& y) {
    return x.index == y.index && key(x.layout) == key(y.layout) && x.cost.step_s == y.cost.step_s &&
           x.cost.bytes == y.cost.bytes;
  });
}

}  // namespace

TEST_CASE("divisors: all, rising") {
  CHECK(divisors(1) == std::vector<int64_t>{1});
  CHECK(divisors(12) == std::vector<int64_t>{1, 2, 3, 4, 6, 12});
  CHECK(divisors(36) == std::vector<int64_t>{1, 2, 3, 4, 6, 9, 12, 18, 36});
  CHECK(divisors(97) == std::vector<int64_t>{1, 97});
}

TEST_CASE("layouts: every possible one is in the space exactly once") {
  for (const auto& [n, batch] : {std::pair{1, 1}, {1, 6}, {2, 4}, {6, 6}, {8, 16}, {12, 24}, {5, 20}}) {
    const int64_t gpus = n;  // clang 14 lets no lambda capture a part of a structured binding
    CAPTURE(gpus);
    const Scenario base = small(gpus, batch);
    const std::vector<Layout> listed = possible(LayoutSpace(base, {}));
    const std::vector<Layout> looped = by_loops(base);
    std::set<Key> a, b;
    for (const Layout& l : listed) a.insert(key(l));
    for (const Layout& l : looped) b.insert(key(l));
    CHECK(listed.size() == a.size());
    CHECK(a == b);
    CHECK(!a.empty());
  }
}

TEST_CASE("layouts: a choice is the part of the space that has it") {
  const Scenario base = small(8, 16);
  const std::vector<Layout> all = possible(LayoutSpace(base, {}));
  const auto check = [&](LayoutChoices choices, auto&& has) {
    std::set<Key> chosen, expected;
    for (const Layout& l : possible(LayoutSpace(base, choices))) chosen.insert(key(l));
    for (const Layout& l : all)
      if (has(l)) expected.insert(key(l));
    CHECK(!expected.empty());
    CHECK(chosen == expected);
  };
  check({.dp = 2}, [](const Layout& l) { return l.dp == 2; });
  check({.tp = 4}, [](const Layout& l) { return l.tp == 4; });
  check({.pp = 2}, [](const Layout& l) { return l.pp == 2; });
  check({.micro_batch = 2}, [](const Layout& l) { return l.micro_batch == 2; });
  check({.pp = 2, .interleave = 3}, [](const Layout& l) { return l.pp == 2 && l.interleave == 3; });
  check({.pp = 2, .schedule = ScheduleKind::zb_h1},
        [](const Layout& l) { return l.pp == 2 && l.schedule == ScheduleKind::zb_h1; });
  check({.recompute = Recompute::full}, [](const Layout& l) { return l.recompute == Recompute::full; });
  check({.dp = 2, .zero = 3}, [](const Layout& l) { return l.dp == 2 && l.zero == 3; });
  check({.tp = 2, .sp = true}, [](const Layout& l) { return l.tp == 2 && l.sp; });
}

TEST_CASE("layouts: context parallelism where it is asked for") {
  for (const Layout& l : possible(LayoutSpace(small(8, 16), {.cp = 2}))) {
    CHECK(l.cp == 2);
    CHECK(l.dp * l.tp * l.pp == 4);
  }
}

TEST_CASE("layouts: choices that do not divide the GPUs are named, with the nearest that does") {
  const Scenario base = small(12, 24);
  CHECK_THROWS_WITH_AS(LayoutSpace(base, {.tp = 5}),
                       "tp: expected a divisor of 12 GPUs; the nearest is 4, got 5", ConfigError);
  CHECK_THROWS_WITH_AS(
      LayoutSpace(base, {.micro_batch = 7}),
      "micro_batch: expected a divisor of 24 sequences of the global batch; the nearest is 6, "
      "got 7",
      ConfigError);
  CHECK_THROWS_AS(LayoutSpace(base, {.tp = 4, .pp = 6}), ConfigError);
  CHECK_THROWS_AS(LayoutSpace(base, {.pp = 0}), ConfigError);
  CHECK_THROWS_AS(LayoutSpace(base, {.zero = 4}), ConfigError);
  CHECK_THROWS_AS(LayoutSpace(base, {.interleave = 0}), ConfigError);
  CHECK_THROWS_AS(LayoutSpace(small(12, 0), {}), ConfigError);
}

TEST_CASE("search: what a loop over everything finds") {
  for (const int64_t gpus : {1, 6, 8, 12}) {
    CAPTURE(gpus);
    const LayoutSpace space(small(gpus, 24), {});
    std::vector<Candidate> fit, too_large;
    int64_t impossible = 0;
    for (int64_t i = 0; i < space.size(); ++i) {
      Scenario s = space.base();
      s.layout = space.at(i);
      if (why_impossible(s) != nullptr) {
        ++impossible;
        continue;
      }
      const Candidate c{i, s.layout, toy(s)};
      (c.cost.fits ? fit : too_large).push_back(c);
    }
    const auto faster = [](const Candidate& a, const Candidate& b) { return a.cost.step_s < b.cost.step_s; };
    std::stable_sort(fit.begin(), fit.end(), faster);  // stable: ties stay by number
    std::stable_sort(too_large.begin(), too_large.end(), faster);

    const SearchResult r = search(space, toy_model, {.top = 25, .too_large = 7});
    CHECK(r.layouts == space.size());
    CHECK(r.fit == static_cast<int64_t>(fit.size()));
    CHECK(r.does_not_fit == static_cast<int64_t>(too_large.size()));
    int64_t broken = 0;
    for (const BrokenRule& rule : r.broken) {
      broken += rule.count;
      Scenario s = space.base();
      s.layout = rule.example;
      CHECK(rule.rule == why_impossible(s));
    }
    CHECK(broken == impossible);
    CHECK(same(r.front, pareto_front(fit)));
    fit.resize(std::min<size_t>(fit.size(), 25));
    CHECK(same(r.best, fit));
    // Of what is too large: faster than all that fits, on the front, the smallest seven.
    too_large = pareto_front(too_large);
    std::erase_if(too_large, [&](const Candidate& c) { return c.cost.step_s >= fit[0].cost.step_s; });
    if (too_large.size() > 7) too_large.erase(too_large.begin(), too_large.end() - 7);
    CHECK(same(r.too_large, too_large));
  }
}

TEST_CASE("search: the same answer for any number of threads") {
  // More than one piece of work, and ties between pieces.
  const LayoutSpace space(small(96, 960), {});
  CHECK(space.size() > 10'000);
  const int before = threads();
  set_threads(1);
  const SearchResult one = search(space, toy_model, {.top = 40, .too_large = 9});
  for (const int n : {2, 5}) {
    set_threads(n);
    const SearchResult many = search(space, toy_model, {.top = 40, .too_large = 9});
    CHECK(same(one.best, many.best));
    CHECK(same(one.too_large, many.too_large));
    CHECK(same(one.front, many.front));
    CHECK(one.fit == many.fit);
    CHECK(one.broken.size() == many.broken.size());
    for (size_t i = 0; i < one.broken.size(); ++i) {
      CHECK(one.broken[i].rule == many.broken[i].rule);
      CHECK(one.broken[i].count == many.broken[i].count);
      CHECK(key(one.broken[i].example) == key(many.broken[i].example));
    }
  }
  set_threads(before);
  CHECK(one.best.size() == 40);
  CHECK(std::is_sorted(one.best.begin(), one.best.end(), ranks_before));
}

TEST_CASE("search: a cost that is no number is an error with its layout") {
  const auto bad = [](const Scenario& s) {
    Cost c = toy(s);
    if (s.layout.tp == 4) c.step_s = std::nan("");
    return c;
  };
  const LayoutSpace space(small(8, 16), {});
  CHECK_THROWS_WITH_AS(search(space, model_of(bad)), doctest::Contains("tp 4"), ValueError);
}

TEST_CASE("search: progress goes to the end") {
  std::ostringstream out;
  const LayoutSpace space(small(96, 960), {});
  {
    Progress progress("search", "layouts", space.size(), 0, {&out, false, [] { return 0.0; }});
    search(space, toy_model, {.progress = &progress});
    progress.finish();
  }
  const std::string end = "search: " + std::to_string(space.size()) + "/" + std::to_string(space.size());
  CHECK(out.str().find(end) != std::string::npos);
}

TEST_CASE("search: candidates are ranked anew by a better cost, and moved where they do not fit after all") {
  const LayoutSpace space(small(12, 24), {});
  SearchResult r = search(space, toy_model, {.top = 60, .too_large = 3});
  std::vector<Candidate> best = r.best, too_large = r.too_large;
  const auto better = [](const Scenario& s) {
    Cost c = toy(s);
    c.step_s = 100 - c.step_s + (s.layout.sp ? 0.5 : 0);
    c.fits = s.layout.recompute != Recompute::full;
    return c;
  };
  rerank(space, model_of(better), best, too_large);
  CHECK(best.size() + too_large.size() == r.best.size() + r.too_large.size());
  CHECK(std::is_sorted(best.begin(), best.end(), ranks_before));
  CHECK(std::is_sorted(too_large.begin(), too_large.end(), ranks_before));
  CHECK(!best.empty());
  CHECK(best.size() < r.best.size());
  for (const Candidate& c : best) {
    CHECK(c.layout.recompute != Recompute::full);
    CHECK(c.cost.step_s > 50);
  }
  // Ties are ranked by number, also where the order before was another.
  std::reverse(best.begin(), best.end());
  rerank(space, model_of([](const Scenario&) { return Cost{1, 1, true}; }), best, too_large);
  CHECK(std::is_sorted(best.begin(), best.end(), [](auto& a, auto& b) { return a.index < b.index; }));
}

TEST_CASE("Pareto front: no member beats another, and every other candidate is beaten or equalled by one") {
  std::vector<Candidate> all;
  uint32_t state = 1;
  const auto draw = [&] { return static_cast<double>((state = state * 1664525u + 1013904223u) >> 26); };
  for (int64_t i = 0; i < 500; ++i) {
    Candidate c;
    c.index = i;
    const double time = draw();
    c.cost = {time, 100 - time + draw(), true};
    all.push_back(c);
  }
  const std::vector<Candidate> front = pareto_front(all);
  CHECK(front.size() > 10);
  const auto no_worse = [](const Cost& a, const Cost& b) {
    return a.step_s <= b.step_s && a.bytes <= b.bytes;
  };
  for (const Candidate& a : front)
    for (const Candidate& b : front) CHECK((a.index == b.index || !no_worse(a.cost, b.cost)));
  for (const Candidate& c : all)
    CHECK(std::any_of(front.begin(), front.end(), [&](const Candidate& f) {
      // Of equal ones the first in number stays.
      return no_worse(f.cost, c.cost) &&
             (f.cost.step_s < c.cost.step_s || f.cost.bytes < c.cost.bytes || f.index <= c.index);
    }));
  CHECK(pareto_front({}).empty());
}

TEST_CASE("sweep: perfect scaling is found where the cost has it") {
  // Work over GPUs, and nothing else: strong scaling halves the time, weak scaling keeps it.
  const CostModel ideal = [](const Scenario&) {
    return [](const Scenario& s) {
      return Cost{static_cast<double>(s.layout.global_batch) / static_cast<double>(s.cluster.gpus), 1, true};
    };
  };
  const Scenario base = small(4, 64);
  const auto strong = sweep(base, {}, Scaling::strong, {4, 8, 16, 32}, ideal);
  REQUIRE(strong.size() == 4);
  for (const SweepPoint& p : strong) {
    REQUIRE(p.best);
    CHECK(p.global_batch == 64);
    CHECK(p.speedup == doctest::Approx(static_cast<double>(p.gpus) / 4));
    CHECK(p.efficiency == doctest::Approx(1));
    CHECK(p.tokens_per_s == doctest::Approx(static_cast<double>(p.gpus * base.model.seq_len)));
  }
  const auto weak = sweep(base, {}, Scaling::weak, {4, 6, 8}, ideal);
  REQUIRE(weak.size() == 3);
  CHECK(weak[1].global_batch == 96);
  for (const SweepPoint& p : weak) {
    REQUIRE(p.best);
    CHECK(p.best->cost.step_s == doctest::Approx(16));
    CHECK(p.efficiency == doctest::Approx(1));
  }
  // 66 sequences on 4 GPUs would be 82.5 on 5.
  CHECK_THROWS_WITH_AS(sweep(small(4, 66), {}, Scaling::weak, {4, 5}, ideal),
                       doctest::Contains("66 sequences"), ConfigError);
}

TEST_CASE("sweep: points without a layout are there, and the first with one is the measure") {
  const CostModel from_eight = [](const Scenario&) {
    return [](const Scenario& s) {
      return Cost{1 / static_cast<double>(s.cluster.gpus), 1, s.cluster.gpus >= 8};
    };
  };
  const auto points = sweep(small(4, 64), {}, Scaling::strong, {4, 8, 16}, from_eight);
  REQUIRE(points.size() == 3);
  CHECK_FALSE(points[0].best);
  CHECK(points[0].speedup == 0);
  CHECK(points[1].speedup == 1);
  CHECK(points[2].speedup == doctest::Approx(2));
  CHECK(points[2].efficiency == doctest::Approx(1));
}
