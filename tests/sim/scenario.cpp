#include "sim/scenario.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "ref/core/error.hpp"

using namespace dsllm;
using namespace dsllm::sim;

TEST_CASE("names of schedules and of recomputation are read as they are written") {
  for (const char* name : {"gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2", "dualpipe"})
    CHECK(to_string(schedule_from_string(name)) == name);
  for (const char* name : {"none", "selective", "full"})
    CHECK(to_string(recompute_from_string(name)) == name);
  CHECK_THROWS_WITH_AS(schedule_from_string("2f2b"),
                       "schedule: expected one of gpipe, 1f1b, interleaved, zb-h1, zb-h2, dualpipe, got 2f2b",
                       ValueError);
}

TEST_CASE("every layer is on one stage, and the stage with the head has fewer") {
  Layout layout;
  layout.pp = 8;
  Model model = find_model("deepseek-llm-67b");
  // The head costs as much as 1.2 layers: 7 * 12 + 11 is faster than 7 * 12 + 12 - 1, whose last stage would be the slowest.
  int64_t layers = 0;
  for (int64_t s = 0; s < layout.pp; ++s) layers += layers_of_stage(model, layout, s);
  CHECK(layers == 95);
  CHECK(layers_of_stage(model, layout, 0) == 12);
  CHECK(layers_of_stage(model, layout, 7) == 11);

  layout.interleave = 3;
  layers = 0;
  for (int64_t s = 0; s < layout.pp; ++s) layers += layers_of_stage(model, layout, s);
  CHECK(layers == 95);

  // A head that is small beside a layer leaves an even division alone.
  model = find_model("gpt3-175b");
  layout.interleave = 6;
  for (int64_t s = 0; s < layout.pp; ++s)
    for (int64_t c = 0; c < layout.interleave; ++c) CHECK(layers_of_chunk(model, layout, s, c) == 2);
}

TEST_CASE("a division is the fastest that there is") {
  for (const int64_t n_layers : {1, 2, 7, 22, 30, 95})
    for (const int64_t pp : {1, 2, 3, 8})
      for (const int64_t vocab : {100, 32000, 131072, 1'000'000}) {
        Scenario s;
        s.model.n_layers = n_layers;
        s.model.vocab_size = vocab;
        s.layout.pp = pp;
        CAPTURE(n_layers);
        CAPTURE(pp);
        CAPTURE(vocab);
        const Split split = split_layers(s.model, s.layout);
        const double d = static_cast<double>(s.model.d_model);
        const double head = static_cast<double>(vocab) * d / (4 * d * d + 3 * d * 11008);
        double slowest = 0;
        int64_t sum = 0;
        for (int64_t part = 0; part < pp; ++part) {
          sum += split.layers(part);
          slowest = std::max(slowest, static_cast<double>(split.layers(part)) + (part == pp - 1 ? head : 0));
        }
        CHECK(sum == n_layers);
        // Every number of layers for the last part, the others as equal as can be.
        double best = pp == 1 ? static_cast<double>(n_layers) + head : 1e30;
        for (int64_t last = 0; pp > 1 && last <= n_layers; ++last) {
          const int64_t others = (n_layers - last + pp - 2) / (pp - 1);
          best = std::min(best, std::max(static_cast<double>(others), static_cast<double>(last) + head));
        }
        CHECK(slowest == doctest::Approx(best));
      }
}
