// The published measurements, converted: every table can be read, its rows can be laid out, and known cells are right.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <map>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "sim/validate/choices.hpp"
#include "sim/validate/table.hpp"
#include "tests/temporary_folder.hpp"
#include "tests/tokenizer/shared_data.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

constexpr double gib = 1024.0 * 1024 * 1024;

// The exit status of the converter; its output goes to a file.
int convert(const std::string& facts, const std::string& data, const std::string& out,
            const std::string& log) {
  const std::string command = "python3 '" DSLLM_SOURCE_DIR "/tests/sim/tables/convert.py' --facts '" + facts +
                              "' --data '" + data + "' --out '" + out + "' > '" + log + "' 2>&1";
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const Measurement& find(const std::vector<Measurement>& rows, const std::string& name) {
  for (const Measurement& row : rows)
    if (row.name == name) return row;
  throw ValueError("row", name, "none");
}

}  // namespace

TEST_CASE("convert: a folder without the sources is an error") {
  const TemporaryFolder folder;
  if (std::system("python3 --version > /dev/null 2>&1") != 0) {
    MESSAGE("skipped: python3 is not there");
    return;
  }
  CHECK(convert(folder.path, folder.path, folder / "out", folder / "log") == 1);
  const std::string log = read_file(folder / "log");
  CHECK(log.starts_with("convert.py: FileNotFoundError: "));
  CHECK(log.find("korthikanti2022_22B_row.csv") != std::string::npos);
}

TEST_CASE("convert: the published measurements become tables") {
  const auto data = test::shared_data("cluster");
  if (!data) return;
  const auto facts = test::shared_data("../facts/cluster");
  if (!facts) return;
  const TemporaryFolder folder;
  REQUIRE_MESSAGE(convert(*facts, *data, folder.path, folder / "log") == 0, read_file(folder / "log"));

  std::map<std::string, std::vector<Measurement>> tables;
  for (const char* name :
       {"korthikanti", "megascale", "megatron_h100", "narayanan", "zerobubble", "aside/zerobubble_2p_as_h2",
        "mosaicml", "vtrain", "nanotron", "aside/nanotron_slow"}) {
    tables[name] = read_table(folder / (std::string(name) + ".csv"));
    for (const Measurement& row : tables[name]) {
      const Choices choices = choices_of(row);
      CHECK_MESSAGE(!choices.scenarios.empty(), row.name << ": " << choices.reason);
      CHECK_MESSAGE(choices.assumed.empty(), row.name);
      REQUIRE_MESSAGE(row.oom.has_value(), row.name);
      CHECK_MESSAGE(*row.oom != row.measured_step_time_s.has_value(), row.name);
    }
  }
  CHECK(tables["korthikanti"].size() == 2);
  CHECK(tables["megascale"].size() == 1);
  CHECK(tables["megatron_h100"].size() == 4);
  CHECK(tables["narayanan"].size() == 5);
  CHECK(tables["zerobubble"].size() == 18);
  CHECK(tables["mosaicml"].size() == 78);
  CHECK(tables["vtrain"].size() == 73);
  CHECK(tables["nanotron"].size() > 700);
  // A run that took 40 times as long as its siblings stands aside, and all that is slow for a reason stays.
  find(tables["aside/nanotron_slow"], "nanotron-8B-dp2-tp2-pp16-zero0-mb1");
  find(tables["nanotron"], "nanotron-8B-dp2-tp2-pp16-zero1-mb1");
  find(tables["nanotron"], "nanotron-1B-dp2-tp8-pp2-zero1-mb1");

  // Single cells, worked out from the sources by hand.
  const Measurement& selective = find(tables["korthikanti"], "korthikanti-22B-sp-selective");
  CHECK(selective.measured_step_time_s == 1.1);
  CHECK(selective.recompute == Recompute::selective);
  CHECK(selective.sp == true);
  CHECK(find(tables["korthikanti"], "korthikanti-22B-full").measured_step_time_s == 1.42);
  const Measurement& zb = find(tables["zerobubble"], "zerobubble-6.2B-1F1B-I-m24");
  CHECK(*zb.measured_step_time_s == doctest::Approx(3 * 24 / (4.01 * 8)).epsilon(1e-5));
  CHECK(*zb.measured_memory_bytes == doctest::Approx(48 * gib));
  CHECK(zb.interleave == 4);
  const Measurement& mpt = find(tables["mosaicml"], "mosaicml-70b-s2048-g128");
  CHECK(*mpt.measured_step_time_s == doctest::Approx(512.0 * 2048 / 48194).epsilon(1e-5));
  CHECK(mpt.zero == 3);
  CHECK(mpt.recompute == Recompute::full);
  CHECK(!find(tables["megascale"], "megascale-megatron-256").micro_batch.has_value());
  CHECK(find(tables["narayanan"], "narayanan-39.1B").schedule == ScheduleKind::interleaved);
  const Measurement& llama = find(tables["nanotron"], "nanotron-1B-dp8-tp1-pp1-zero0-mb1");
  CHECK(*llama.measured_step_time_s == doctest::Approx(256.0 * 4096 / (39273.0 * 8)).epsilon(1e-5));
  CHECK(*llama.measured_memory_bytes == doctest::Approx(36.7 * gib));
  CHECK(llama.tied == true);
  // Micro-batch 8 failed where 4 ran: out of memory; 2 both failed and ran: only the run counts.
  CHECK(find(tables["nanotron"], "nanotron-1B-dp4-tp1-pp2-zero1-mb8").oom == true);
  CHECK(find(tables["nanotron"], "nanotron-1B-dp8-tp1-pp1-zero0-mb2").oom == false);
}
