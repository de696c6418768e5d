// Numbers with units and tables as reports print them; and scenarios from options.
#include "sim/commands/text.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "sim/commands/scenario_options.hpp"
#include "tests/temporary_folder.hpp"

using namespace dsllm;
using namespace dsllm::sim;

TEST_CASE("text: three digits, and a unit that leaves one before the point") {
  CHECK(bytes_text(91.34e9) == "91.3 GB");
  CHECK(bytes_text(999.7e9) == "1.00 TB");
  CHECK(bytes_text(9.994e6) == "9.99 MB");
  CHECK(bytes_text(9.996e6) == "10.0 MB");
  CHECK(bytes_text(99.96e6) == "100 MB");
  CHECK(bytes_text(1) == "1.00 B");
  CHECK(bytes_text(0) == "0 B");
  CHECK(seconds_text(0) == "0 s");
  CHECK(seconds_text(0.0456) == "45.6 ms");
  CHECK(seconds_text(7.89e-6) == "7.89 us");
  CHECK(seconds_text(1e-12) == "0.00 ns");
  CHECK(seconds_text(1234.6) == "1235 s");
  CHECK(flops_text(419.4e9) == "419 GFLOPs");
  CHECK(flops_text(3.14e23) == "314 ZFLOPs");
  CHECK(flop_rate_text(989.5e12) == "990 TFLOP/s");
  CHECK(flop_rate_text(2.5e15) == "2.50 PFLOP/s");
  CHECK(power_text(2e12) == "2e12");
  CHECK(power_text(1.234567e23) == "1.235e23");
  CHECK(power_text(12) == "12");
  CHECK(percent_text(0.2258) == "22.6%");
  CHECK(duration_text(86400 * 12.34) == "12.3 days");
  CHECK(duration_text(3600 * 30.0) == "30.0 hours");
  CHECK(duration_text(90) == "90.0 s");
  CHECK(with_commas(6'910'365'696) == "6,910,365,696");
  CHECK(with_commas(-1234) == "-1,234");
  CHECK(with_commas(-123) == "-123");
  CHECK(with_commas(999) == "999");
}

TEST_CASE("text: columns are as wide as their widest cell, the first to the left") {
  TextTable table({"what", "bytes", "note"}, {2});
  table.add({"a", "12 GB", "x"});
  table.add({"weights", "1 GB", "a, \"b\""});
  std::ostringstream out;
  table.print(out, "");
  CHECK(out.str() ==
        "what     bytes  note\n"
        "a        12 GB  x\n"
        "weights   1 GB  a, \"b\"\n");
  CHECK(table.csv() == "what,bytes,note\na,12 GB,x\nweights,1 GB,\"a, \"\"b\"\"\"\n");
}

TEST_CASE("options: fields win over the model, which wins over the file") {
  const TemporaryFolder folder;
  Scenario file;
  file.model = find_model("llama-2-70b");
  file.cluster.gpus = 64;
  file.layout.global_batch = 128;
  ScenarioOptions write;
  write.save = folder / "s.json";
  save_scenario(write, file);

  ScenarioOptions o;
  o.file = folder / "s.json";
  CHECK(read_scenario(o).model.n_layers == 80);
  o.model = "deepseek-llm-67b";
  o.given["cluster"]["gpus"] = 32;
  o.given["model"]["n_kv_heads"] = 64;
  const Scenario s = read_scenario(o);
  CHECK(s.model.n_layers == 95);
  CHECK(s.model.n_kv_heads == 64);
  CHECK(s.model.d_head == 128);
  CHECK(s.cluster.gpus == 32);
  CHECK(s.layout.global_batch == 128);

  // A new width takes d_head and d_ff with it, as in a file.
  ScenarioOptions wide;
  wide.given["model"]["d_model"] = 8192;
  CHECK(read_scenario(wide).model.d_head == 256);
  CHECK(read_scenario(wide).model.d_ff == 22016);
  wide.given["model"]["d_head"] = 128;
  wide.given["model"]["d_ff"] = 1000;
  CHECK(read_scenario(wide).model.d_head == 128);
  CHECK(read_scenario(wide).model.d_ff == 1000);
  wide.given["model"]["gpus"] = 3;
  CHECK_THROWS_WITH_AS(read_scenario(wide), doctest::Contains("command line: field 'gpus'"), ConfigError);
}

TEST_CASE("options: fields of the layout that are given are fixed in a search") {
  ScenarioOptions o;
  CHECK_FALSE(choices_of(o).tp);
  o.given["layout"] = {{"tp", 8}, {"sp", true}, {"schedule", "zb-h1"}, {"recompute", "full"}, {"dp", 0}};
  const LayoutChoices c = choices_of(o);
  CHECK(c.tp == 8);
  CHECK(c.sp == true);
  CHECK(c.schedule == ScheduleKind::zb_h1);
  CHECK(c.recompute == Recompute::full);
  CHECK(c.cp == 1);
  CHECK_FALSE(c.dp);  // 0: what is left
  CHECK_FALSE(c.pp);
  CHECK_FALSE(c.zero);
}

TEST_CASE("options: a shape that is a preset's has its name") {
  CHECK(name_of_model(find_model("deepseek-llm-67b")) == "deepseek-llm-67b");
  Model m = find_model("deepseek-llm-67b");
  m.n_layers = 94;
  CHECK(name_of_model(m) == "model");
  Layout l;
  l.dp = 16;
  l.tp = 8;
  l.pp = 8;
  l.interleave = 2;
  l.schedule = ScheduleKind::interleaved;
  l.zero = 1;
  l.sp = true;
  CHECK(describe_layout(l) ==
        "dp 16 x tp 8 x pp 8, micro-batch 1, interleaved with 2 chunks, ZeRO 1, sequence parallel, recompute "
        "none");
}
