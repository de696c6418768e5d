#include "ref/train/commands.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <sstream>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "ref/core/parallel.hpp"
#include "ref/model/eigen_engine.hpp"
#include "ref/tokenizer/commands.hpp"
#include "ref/train/run_log.hpp"
#include "tests/train/small_run.hpp"

using namespace dsllm;
using namespace dsllm::testing;

static std::string some_text() {
  std::string text;
  for (int i = 0; i < 900; ++i)
    text += fmt::format("And the {} of {} begat {} sons.\n", i % 17, i % 31, i % 7);
  return text;
}

// Text, tokenizer, packed data and a config in one folder.
struct Prepared : ScratchFolder {
  std::ostringstream log;

  Prepared() {
    set_threads(1);  // the model is too small for more
    const std::string text = write("text.txt", some_text());
    ref::tokenizer_train({{text},
                          *this / "tokenizer.json",
                          300,
                          0,
                          {"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"},
                          true},
                         log);
    DataPackCommand pack_command;
    pack_command.tokenizer = *this / "tokenizer.json";
    pack_command.inputs = {text};
    pack_command.out = *this / "data";
    pack_command.heldout = 0.1;
    pack_command.block_bytes = 500;
    data_pack(pack_command, log, false);
    write("config.json", R"({
      "model": {"preset": "tiny", "n_layers": 1, "d_model": 16, "n_heads": 2, "n_kv_heads": 1, "d_ff": 32,
                "vocab_size": 300},
      "train": {"tokens": 1920, "batch": 4, "micro_batch": 2, "seq_len": 16, "warmup_steps": 3, "lr": 0.01}})");
  }
  ~Prepared() { set_threads(0); }

  PretrainCommand command(const std::string& run) const {
    PretrainCommand c;
    c.config = *this / "config.json";
    c.data = *this / "data";
    c.out = *this / run;
    return c;
  }
};

static PretrainBackend backend() {
  PretrainBackend b;
  b.make_engine = [](const ModelConfig& c, int64_t batch, int64_t seq) {
    return std::make_unique<ref::EigenEngine>(c, batch, seq);
  };
  b.save_model = [](const TrainEngine& engine, const std::string& folder) {
    save_hugging_face(folder, engine.config(), DType::f32, [&](const ParameterInfo& p, View<float, 1> host) {
      engine.copy_out(StatePart::weights, p, host);
    });
  };
  return b;
}

TEST_CASE("commands: data pack counts what it packed and keeps the tokenizer") {
  const Prepared p;
  const Dataset data = Dataset::open(p / "data");
  const DataManifest& m = data.manifest;
  CHECK(m.vocab_size > 258);  // bytes, begin and end, and what the text has to merge
  CHECK(m.vocab_size <= 300);
  CHECK(m.train.bytes + m.heldout.bytes == static_cast<int64_t>(some_text().size()));
  CHECK(read_file(p / "data/tokenizer.json") == read_file(p / "tokenizer.json"));
  CHECK(p.log.str().find(fmt::format("train.npy: {} tokens of {} bytes", m.train.tokens, m.train.bytes)) !=
        std::string::npos);
  int32_t first = 0;
  data.train.read(0, {&first, 1});
  CHECK(first == m.bos);
}

TEST_CASE("commands: pretrain trains, and leaves a model folder with the weights of its last checkpoint") {
  const Prepared p;
  std::ostringstream log;
  const TrainResult result = pretrain(p.command("run"), backend(), log, false);
  CHECK(result.step == 30);
  CHECK(read_run_log(p / "run/log.csv").back().heldout);
  const SafetensorsFile model(p / "run/model/model.safetensors"),
      saved(result.checkpoint + "/model.safetensors");
  REQUIRE(model.tensors().size() == saved.tensors().size());
  for (const TensorInfo& t : saved.tensors()) {
    const TensorInfo& m = model.info(t.name);
    CHECK(std::equal(t.bytes.begin(), t.bytes.end(), m.bytes.begin(), m.bytes.end()));
  }
  CHECK_NOTHROW(LoadedModel(p / "run/model"));
  CHECK(read_file(p / "run/model/tokenizer.json") == read_file(p / "tokenizer.json"));
  CHECK(read_file(result.checkpoint + "/tokenizer.json") == read_file(p / "tokenizer.json"));
}

// Gets the signal of Ctrl-C in the middle of step 12.
class SignaledEngine : public ref::EigenEngine {
 public:
  using EigenEngine::EigenEngine;
  double clip_gradients(double max_norm) override {
    if (++steps_ == 12) std::raise(SIGINT);
    return EigenEngine::clip_gradients(max_norm);
  }

 private:
  int steps_ = 0;
};

TEST_CASE("commands: Ctrl-C saves and says how to go on; the resumed run equals the unbroken one") {
  const Prepared p;
  std::ostringstream log;
  const TrainResult whole = pretrain(p.command("whole"), backend(), log, false);
  PretrainBackend signaled = backend();
  signaled.make_engine = [](const ModelConfig& c, int64_t batch, int64_t seq) {
    return std::make_unique<SignaledEngine>(c, batch, seq);
  };
  const TrainResult stopped = pretrain(p.command("run"), signaled, log, false);
  CHECK(stopped.stopped);
  CHECK(stopped.step == 12);
  CHECK(log.str().find("stopped after step 12 of 30 and saved " + stopped.checkpoint) != std::string::npos);
  CHECK(log.str().find("--resume") != std::string::npos);
  CHECK(!std::filesystem::exists(p / "run/model"));
  PretrainCommand again = p.command("run");
  again.resume = true;
  again.config = "";  // the run knows it
  const TrainResult resumed = pretrain(again, backend(), log, false);
  CHECK(log_of(p / "run") == log_of(p / "whole"));
  CHECK(tensors_of(resumed.checkpoint) == tensors_of(whole.checkpoint));
}

TEST_CASE("commands: --from and --tokens continue the first stage to another budget, bit for bit") {
  const Prepared p;
  std::ostringstream log;
  pretrain(p.command("short"), backend(), log, false);
  PretrainCommand longer = p.command("long");
  longer.tokens = 3200;
  const TrainResult whole = pretrain(longer, backend(), log, false);
  longer.out = p / "branch";
  longer.from = checkpoint_path(p / "short", 24);  // the end of its first stage
  const TrainResult branch = pretrain(longer, backend(), log, false);
  CHECK(branch.step == 50);
  CHECK(log_of(longer.out) == log_of(p / "long", 24));
  CHECK(tensors_of(branch.checkpoint) == tensors_of(whole.checkpoint));
}

TEST_CASE("commands: options that do not go together are refused") {
  const Prepared p;
  std::ostringstream log;
  PretrainCommand c = p.command("run");
  c.config = "";
  CHECK_THROWS_AS(pretrain(c, backend(), log, false), UsageError);
  c = p.command("run");
  c.resume = true;
  c.from = "x";
  CHECK_THROWS_AS(pretrain(c, backend(), log, false), UsageError);
  c = p.command("run");
  c.tokens = 64;  // one step has no room for three stages
  CHECK_THROWS_AS(pretrain(c, backend(), log, false), ConfigError);
  c = p.command("run");
  c.data = p / "absent";
  CHECK_THROWS_AS(pretrain(c, backend(), log, false), FileError);

  DataPackCommand pack_command;
  pack_command.tokenizer = p / "plain.json";
  pack_command.inputs = {p / "text.txt"};
  pack_command.out = p / "data2";
  ref::tokenizer_train({{p / "text.txt"}, p / "plain.json", 300}, log);
  CHECK_THROWS_AS(data_pack(pack_command, log, false), ValueError);  // no begin and end of text
  pack_command.tokenizer = p / "tokenizer.json";
  pack_command.inputs = {p.write("latin1.txt", "caf\xe9\n")};
  CHECK_THROWS_AS(data_pack(pack_command, log, false), FileError);
  pack_command.repair = true;
  CHECK_NOTHROW(data_pack(pack_command, log, false));
}
