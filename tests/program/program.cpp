// dsllm-ref as a user meets it: as a process with arguments, exit codes and two streams.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdlib>

#include "ref/core/file.hpp"
#include "ref/core/json.hpp"
#include "ref/core/npy.hpp"
#include "tests/temporary_folder.hpp"

using namespace dsllm;

namespace {

struct Outcome {
  int code;
  std::string out, err;
};

// Runs `dsllm-ref arguments` in a shell, which sees quotes and redirections.
Outcome run(const std::string& arguments) {
  const TemporaryFolder folder;
  const int status = std::system(fmt::format("{{ '{}/dsllm-ref' {}; }} >'{}' 2>'{}'", DSLLM_BIN_DIR,
                                             arguments, folder / "out", folder / "err")
                                     .c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(folder / "out"), read_file(folder / "err")};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::string golden = DSLLM_SOURCE_DIR "/tests/golden/model/tiny";

}  // namespace

TEST_CASE("program: every command has --help with an example on standard output") {
  for (const char* command : {"tokenizer train", "tokenizer encode", "tokenizer decode", "data pack",
                              "params", "pretrain", "plot", "generate", "logits"}) {
    const Outcome help = run(std::string(command) + " --help");
    CHECK_MESSAGE(help.code == 0, command);
    CHECK_MESSAGE(contains(help.out, std::string("example: ")), command);
    CHECK_MESSAGE(contains(help.out, std::string("dsllm-ref ") + command + " "), command);
    CHECK(help.err.empty());
  }
}

TEST_CASE("program: wrong usage exits with 2, a failed run with 1, each with words on standard error only") {
  for (const char* usage :
       {"", "no-such-command", "params --no-such-option", "params", "params --preset tiny --config x",
        "generate --prompt x", "logits --model x --ids 1,x --out y", "params --preset no-such-preset",
        "--threads -1 params", "logits --model x --ids 1,,3 --out y", "logits --model x --ids '' --out y",
        "logits --model x --ids 1 --out y --threads -1", "tokenizer train --input x --vocab-size -5 --out y",
        "generate --model x --prompt x --temperature nan", "generate --model x --prompt x --top-p 1.5",
        "pretrain --data x --out y --tokens -1"}) {
    const Outcome o = run(usage);
    CHECK_MESSAGE(o.code == 2, usage << ": " << o.code);
    CHECK_MESSAGE(o.out.empty(), usage);
    CHECK_MESSAGE(!o.err.empty(), usage);
  }
  for (const char* failing :
       {"params --config /no/such/file", "logits --model /no/such/folder --ids 1 --out no/such/x.npy",
        "tokenizer encode --tokenizer /no/such/file --input /dev/null",
        "pretrain --config /no/such/file --data x --out no/such/run",
        "generate --model /no/such/folder --prompt x", "plot /no/such/run"}) {
    const Outcome o = run(failing);
    CHECK_MESSAGE(o.code == 1, failing << ": " << o.code);
    CHECK_MESSAGE(contains(o.err, "dsllm-ref: "), failing);
  }
  CHECK(run("params --preset tiny >/dev/full").code == 1);
}

TEST_CASE("program: params prints the published totals, as a table and as JSON") {
  CHECK(contains(run("params --preset deepseek-llm-7b").out, "6,910,365,696 100.00%"));
  CHECK(parse_json(run("params --preset deepseek-llm-67b --json").out, "out")["total"] == 67'425'001'472);
  CHECK(contains(run("params --config '" + golden + "/config.json'").out, "2 layers, d_model 24"));
}

TEST_CASE("program: logits are those of the independent implementation, whatever the number of threads") {
  const TemporaryFolder folder;
  for (const int threads : {1, 3}) {
    const Outcome o = run(fmt::format("logits --threads {} --model '{}' --ids 1,2,3 --out '{}'", threads,
                                      golden, folder / fmt::format("{}.npy", threads)));
    REQUIRE_MESSAGE(o.code == 0, o.err);
  }
  CHECK(read_file(folder / "1.npy") == read_file(folder / "3.npy"));
  const Tensor<float, 2> logits = read_npy<float, 2>(folder / "1.npy");
  CHECK(logits.extent[0] == 3);
  CHECK(logits.extent[1] == 67);
  CHECK(contains(run("logits --model '" + golden + "' --ids 1,67 --out '" + (folder / "x.npy") + "'").err,
                 "expected ids below the vocabulary of 67, got id 67 at position 1"));
}

TEST_CASE("program: from text to a model that writes, and on from where it stopped") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += fmt::format("{} times {} is {}.\n春眠不觉晓，处处闻啼鸟。\n", i, i + 1, i * (i + 1));
  write_file_atomically(folder / "text", text);
  const std::string at = "'" + folder.path + "/";

  Outcome o = run("tokenizer train --input " + at + "text' --vocab-size 300 --all-bytes --special " +
                  "'<｜begin▁of▁sentence｜>' '<｜end▁of▁sentence｜>' --out " + at + "t.json'");
  REQUIRE_MESSAGE(o.code == 0, o.err);
  o = run("tokenizer encode --tokenizer " + at + "t.json' --input " + at + "text' >" + at + "ids'");
  REQUIRE_MESSAGE(o.code == 0, o.err);
  const bool same = run("tokenizer decode --tokenizer " + at + "t.json' <" + at + "ids'").out == text;
  CHECK(same);

  o = run("data pack --tokenizer " + at + "t.json' --input " + at + "text' --block-bytes 512 --out " + at +
          "data'");
  REQUIRE_MESSAGE(o.code == 0, o.err);
  write_file_atomically(folder / "c.json", R"({"model": {"preset": "tiny", "n_layers": 1, "vocab_size": 300},
    "train": {"tokens": 4096, "batch": 4, "micro_batch": 2, "seq_len": 32, "lr": 0.01, "warmup_steps": 4,
              "checkpoint_every": 8}})");
  o = run("pretrain --config " + at + "c.json' --data " + at + "data' --out " + at + "run'");
  REQUIRE_MESSAGE(o.code == 0, o.err);
  CHECK(contains(o.err, "held-out text"));
  CHECK(run("pretrain --config " + at + "c.json' --data " + at + "data' --out " + at + "run'").code == 2);
  CHECK(run("pretrain --resume --data " + at + "data' --out " + at + "run'").code == 0);

  // A run that would take days: stopped after its first step, it says how to go on.
  const std::string endless = "pretrain --tokens 1000000000 --config " + at + "c.json' --data " + at +
                              "data' --out " + at + "endless'";
  o = run(endless + " & until grep -q ^1, " + at +
          "endless/log.csv' 2>/dev/null; do sleep 0.05; done; kill -TERM $!; wait $!");
  CHECK(o.code == 130);
  CHECK(contains(o.err, "--resume goes on from there"));
  CHECK(contains(o.err, " --tokens 1000000000 --resume\n"));

  const std::string generate =
      "generate --model " + at + "run/model' --prompt '3 times' --max-tokens 20 --seed 5";
  o = run(generate);
  REQUIRE_MESSAGE(o.code == 0, o.err);
  CHECK(o.out.starts_with("3 times"));
  CHECK(o.out == run(generate).out);
  CHECK(contains(run("plot " + at + "run'").out, "tokens"));
  o = run("generate --model " + at + "run/model' --prompt \"$(yes one two | head -n 100)\"");
  CHECK(o.code == 1);
  CHECK(contains(o.err, "expected a prompt of at most 64 tokens, got "));
}
