// dsllm-verify as a user meets it.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "ref/core/file.hpp"
#include "ref/core/json.hpp"
#include "tests/pairs/registry.hpp"
#include "tests/temporary_folder.hpp"

using namespace dsllm;
using namespace dsllm::tests;

namespace {

struct Outcome {
  int code;
  std::string out, err;
};

// Without a device build beside it, so that the outcome is the same on every machine.
struct Program {
  TemporaryFolder folder;

  Program() { std::filesystem::copy_file(DSLLM_BIN_DIR "/dsllm-verify", folder / "dsllm-verify"); }

  void add_sibling(const std::string& name, const std::string& script) const {
    write_file_atomically(folder / name, "#!/bin/sh\n" + script);
    std::filesystem::permissions(folder / name, std::filesystem::perms::owner_all);
  }
  // `after` comes behind the program in the shell's line.
  Outcome run(const std::string& arguments, const std::string& after = "") const {
    const int status = std::system(fmt::format("{{ '{}' {}; }} >'{}' 2>'{}' {}", folder / "dsllm-verify",
                                               arguments, folder / "out", folder / "err", after)
                                       .c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(folder / "out"),
            read_file(folder / "err")};
  }
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

size_t lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("dsllm-verify: a line a candidate, why no device was asked, and the sum of it") {
  const Outcome o = Program().run("--op rmsnorm_backward --op dpo_loss");
  CHECK(o.code == 0);
  CHECK(o.err.empty());
  const size_t candidates =
      find_pair("rmsnorm_backward").candidates.size() + find_pair("dpo_loss").candidates.size();
  CHECK(lines(o.out) == candidates + 2);
  CHECK(o.out.starts_with("pass  rmsnorm_backward  "));
  CHECK(contains(o.out, "\ndevice: skipped: dsllm-verify-device was not built"));
  CHECK(contains(o.out, fmt::format("\n{} verdicts on 2 operations: all pass\n", candidates)));
}

TEST_CASE("dsllm-verify: --json is one object, with the device's verdicts and without") {
  const Program program;
  Json json = parse_json(program.run("--op dpo_loss --json").out, "out");
  const size_t here = find_pair("dpo_loss").candidates.size();
  CHECK(json["results"].size() == here);
  CHECK(json["failed"] == 0);
  CHECK(contains(json["device"]["skipped"], "was not built"));

  json["results"][0]["candidate"] = "cuda float, on the moon", json["results"][0]["runs_on"] = "device";
  json["device"]["skipped"] = nullptr;
  program.add_sibling("dsllm-verify-device", "cat <<'END'\n" + json.dump() + "\nEND\necho \"$@\" >'" +
                                                 (program.folder / "arguments") + "'\n");
  const Outcome both = program.run("--op dpo_loss --json --seed 4");
  CHECK(both.code == 0);
  const Json merged = parse_json(both.out, "out");
  CHECK(merged["results"].size() == 2 * here);
  CHECK(merged["results"][here]["candidate"] == "cuda float, on the moon");
  CHECK(merged["device"]["skipped"].is_null());
  CHECK(read_file(program.folder / "arguments") == "--json --seed 4 --op dpo_loss\n");
  const Outcome words = program.run("--op dpo_loss");
  CHECK(contains(words.out, "cuda float, on the moon            device  error "));
  CHECK_FALSE(contains(words.out, "skipped"));

  json["results"][0]["pass"] = false, json["results"][0]["reason"] = "y[1]: craters";
  program.add_sibling("dsllm-verify-device", "cat <<'END'\n" + json.dump() + "\nEND\nexit 1\n");
  const Outcome failing = program.run("--op dpo_loss");
  CHECK(failing.code == 1);
  CHECK(contains(failing.out, "FAIL  dpo_loss "));
  CHECK(contains(failing.out, "y[1]: craters"));
  CHECK(contains(failing.out, ": 1 FAIL\n"));

  program.add_sibling(
      "dsllm-verify-device",
      R"(echo '{"results": [], "failed": 0, "device": {"skipped": "no CUDA device: none"}}')");
  CHECK(contains(program.run("--op dpo_loss").out, "\ndevice: skipped: no CUDA device: none\n"));
}

TEST_CASE("dsllm-verify: a device build that breaks down is a failure") {
  const Program program;
  for (const std::string script : {"kill -SEGV $$", "exit 3", "echo nonsense", "echo '{}'", ""}) {
    program.add_sibling("dsllm-verify-device", script);
    const Outcome o = program.run("--op dpo_loss");
    CHECK_MESSAGE(o.code == 1, script);
    CHECK_MESSAGE(contains(o.err, "dsllm-verify-device: "), script << ": " << o.err);
  }
}

TEST_CASE("dsllm-verify: --inspect is another program of the same folder") {
  const Program program;
  const Outcome none = program.run("--inspect");
  CHECK(none.code == 1);
  CHECK(contains(none.err, "expected dsllm-verify-inspect in the folder of dsllm-verify, got none"));
  program.add_sibling("dsllm-verify-inspect", "echo inspected \"$@\"");
  CHECK(program.run("--inspect --op dpo_loss").out == "inspected --inspect --op dpo_loss\n");
}

#ifdef DSLLM_VERIFY_INSPECT
TEST_CASE("dsllm-verify: --inspect profiles a case, line by line, and prints the sources with it") {
  const Program program;
  std::filesystem::copy_file(DSLLM_VERIFY_INSPECT, program.folder / "dsllm-verify-inspect");
  const std::string one = "--inspect --op swiglu_forward --shape n=4,d_ff=64,scale=1 ";
  const Outcome text = program.run(one);
  CHECK(text.code == 0);
  // 256 floats each of gate, up and y, all of it whole sectors.
  CHECK(contains(text.out, "moved 3072 B, least possible 3072 B (read 2048 B, written 1024 B): 1.00 times"));
  CHECK(contains(text.out, "1_scalar.cu:"));
  CHECK(contains(text.out, "no races"));
  const Json json = parse_json(program.run(one + "--json").out, "out");
  for (const Json& result : json["results"]) {
    CHECK(result["profile"]["gpu"] == "h100-sxm");
    CHECK(result["profile"]["kernels"].size() == 1);
    CHECK(result["profile"]["kernels"][0]["races"].empty());
  }
  CHECK(contains(program.run(one + "--listing").out, "|   1  // SwiGLU"));
  CHECK(contains(program.run(one + "--gpu a100-sxm").out, "a100-sxm"));
  const Outcome gpu = program.run(one + "--gpu voodoo2");
  CHECK(gpu.code == 2);
  CHECK(contains(gpu.err, "h800-sxm"));
  CHECK(program.run(one + "--nvcc-report no-such-file").code == 1);
  CHECK(program.run("--op swiglu_forward --listing").code == 2);
}
#endif

TEST_CASE("dsllm-verify: wrong usage exits with 2 and says on standard error what there is") {
  const Program program;
  for (const std::string usage : {"--op no_such", "--op", "--shape n=3", "--op dpo_loss --shape n=3",
                                  "--op dpo_loss --shape ''", "--order sideways", "--order random:x",
                                  "--seed -1", "--seed x", "--json --markdown", "dpo_loss", "--threads -1"}) {
    const Outcome o = program.run(usage);
    CHECK_MESSAGE(o.code == 2, usage << ": " << o.code);
    CHECK_MESSAGE(o.out.empty(), usage);
    CHECK_MESSAGE(!o.err.empty(), usage);
  }
  CHECK(contains(program.run("--op no_such").err, "\n    rmsnorm_forward\n"));
  CHECK(contains(program.run("--op dpo_loss --shape n=3").err, "\n    beta=0.3,loss=0,n=1,"));
  CHECK(contains(program.run("--help").out, "example: dsllm-verify "));
  CHECK(program.run("--op dpo_loss >/dev/full").code == 1);
}

TEST_CASE("dsllm-verify: orders of threads, shapes and lists") {
  const Program program;
  for (const std::string good : {"--op dpo_loss --order backward", "--op dpo_loss --order random:3",
                                 "--op swiglu_forward --shape n=2,d_ff=9,scale=1"}) {
    const Outcome o = program.run(good);
    CHECK_MESSAGE(o.code == 0, good << ": " << o.err);
  }
  CHECK(contains(program.run("--op swiglu_forward --shape n=2,d_ff=9,scale=1").out,
                 "d_ff = 9, n = 2, scale = 1"));
  CHECK(parse_json(program.run("--list --json").out, "out")["pairs"].size() == all_pairs().size());
  CHECK(contains(program.run("--list --op dpo_loss").out, "dpo_loss (paper, section 4)\n"));
  CHECK(lines(program.run("--markdown --op dpo_loss --op grad_clip").out) == 4);
}

TEST_CASE("dsllm-verify: Ctrl-C ends it with 130") {
  // The shell's child gets the signal once its first line is there, with everything else still to do.
  const Program program;
  const std::string path = program.folder / "dsllm-verify", out = program.folder / "out";
  const int status =
      std::system(fmt::format("bash -c \"set -m; '{0}' >'{1}' 2>'{2}' & until [ -s '{1}' ]; do :; done; "
                              "kill -INT \\$!; wait \\$!\" 2>/dev/null",
                              path, out, program.folder / "err")
                      .c_str());
  CHECK(WEXITSTATUS(status) == 130);
  CHECK(read_file(program.folder / "err") == "dsllm-verify: interrupted\n");
  CHECK(read_file(out).ends_with("\n"));
}
