#include "sim/scenario.hpp"

#include <doctest/doctest.h>

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

TEST_CASE("every layer is on one stage") {
  Model model;
  model.n_layers = 95;
  Layout layout;
  layout.pp = 8;
  layout.interleave = 3;
  int64_t layers = 0;
  for (int64_t s = 0; s < layout.pp; ++s) layers += layers_of_stage(model, layout, s);
  CHECK(layers == 95);
  CHECK(layers_of_stage(model, layout, 0) == 12);
  CHECK(layers_of_stage(model, layout, 7) == 11);  // 95 = 23 * 4 + 3: the last part is a layer short
}
