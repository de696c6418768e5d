#include "ref/core/parallel.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace dsllm;

TEST_CASE("parallel: every index once, for any number of threads") {
  for (const int t : {1, 2, 5}) {
    set_threads(t);
    for (const int64_t n : {0, 1, 2, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<size_t>(n));
      parallel_for(n, [&](int64_t i) { ++calls[static_cast<size_t>(i)]; });
      for (const auto& c : calls) REQUIRE(c == 1);
    }
  }
  set_threads(0);
}

TEST_CASE("parallel: the pieces depend on size and grain alone") {
  using Pieces = std::set<std::pair<int64_t, int64_t>>;
  for (const int t : {1, 2, 5}) {
    set_threads(t);
    const auto pieces = [](int64_t n, int64_t grain) {
      Pieces found;
      std::mutex mutex;
      parallel_pieces(n, grain, [&](int64_t begin, int64_t end) {
        const std::lock_guard lock(mutex);
        found.emplace(begin, end);
      });
      return found;
    };
    CHECK(pieces(10, 4) == Pieces{{0, 4}, {4, 8}, {8, 10}});
    CHECK(pieces(8, 4) == Pieces{{0, 4}, {4, 8}});
    CHECK(pieces(3, 4) == Pieces{{0, 3}});
    CHECK(pieces(0, 4).empty());
    CHECK(pieces(-1, 4).empty());
  }
  set_threads(0);
}

TEST_CASE("parallel: the exception of the smallest index is the one that arrives") {
  for (const int t : {1, 2, 5}) {
    set_threads(t);
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::string what;
      try {
        parallel_for(200, [](int64_t i) {
          if (i % 10 == 7) throw std::runtime_error(std::to_string(i));
        });
      } catch (const std::runtime_error& e) {
        what = e.what();
      }
      REQUIRE(what == "7");
    }
    // The larger index throws first, however the threads run: the smaller one waits for it.
    if (threads() > 1) {
      std::atomic<bool> thrown{false};
      std::string what;
      try {
        parallel_for(2, [&](int64_t i) {
          if (i == 1) {
            thrown = true;
            throw std::runtime_error("1");
          }
          while (!thrown) {
          }
          throw std::runtime_error("0");
        });
      } catch (const std::runtime_error& e) {
        what = e.what();
      }
      CHECK(what == "0");
    }
  }
  set_threads(0);
}

TEST_CASE("parallel: a nested call runs all of its pieces") {
  set_threads(3);
  std::atomic<int> calls{0};
  parallel_for(4, [&](int64_t) { parallel_for(5, [&](int64_t) { ++calls; }); });
  CHECK(calls == 20);
  set_threads(0);
  CHECK(threads() >= 1);
}
