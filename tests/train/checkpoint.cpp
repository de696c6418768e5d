#include "ref/train/checkpoint.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "tests/train/small_run.hpp"

using namespace dsllm;
using namespace dsllm::testing;
namespace fs = std::filesystem;

static CheckpointState state_at(int64_t step, const TrainEngine& engine) {
  CheckpointState s;
  s.step = step;
  s.tokens = 64 * step;
  s.position = {3, 14};
  s.data_checksum = "0123456789abcdef";
  s.model = engine.config();
  s.train = small_config();
  return s;
}

static std::vector<int64_t> steps_in(const std::string& run) {
  std::vector<int64_t> steps;
  for (const auto& entry : list_checkpoints(run)) steps.push_back(entry.step);
  return steps;
}

TEST_CASE("checkpoint: what is loaded is what was saved, bit for bit") {
  const ScratchFolder scratch;
  BigramEngine engine, other;
  engine.initialize(1);
  engine.weights()(0) = -0.0f;
  engine.weights()(1) = 1e-42f;  // subnormal
  for (const StatePart part : {StatePart::adam_m, StatePart::adam_v})
    for (const ParameterInfo& p : engine.parameters()) {
      Tensor<float, 1> moment(p.size);
      fill_normal<float>(moment, 0, 1, part == StatePart::adam_m ? 7 : 8, static_cast<uint64_t>(p.offset));
      engine.copy_in(part, p, moment);
    }
  const CheckpointState state = state_at(123, engine);
  const std::string path =
      save_checkpoint(scratch.path, engine, state, {2, -1, {{"config.json", "{\"a\": 1}"}}});
  CHECK(path == scratch / "checkpoints/step-000123");
  other.initialize(2);
  REQUIRE(engine.state() != other.state());
  const CheckpointState loaded = load_checkpoint(path, other);
  const auto a = engine.state(), b = other.state();
  CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
  CHECK(loaded.step == 123);
  CHECK(loaded.tokens == 123 * 64);
  CHECK(loaded.position == DataPosition{3, 14});
  CHECK(loaded.data_checksum == state.data_checksum);
  CHECK(train_config_to_json(loaded.train) == train_config_to_json(state.train));
  CHECK(model_config_to_json(loaded.model) == model_config_to_json(state.model));
  CHECK(read_file(path + "/config.json") == "{\"a\": 1}");
  CHECK(!fs::exists(path + ".tmp"));
}

TEST_CASE("checkpoint: the last k and the pinned one are kept, newer ones are never touched") {
  const ScratchFolder scratch;
  BigramEngine engine;
  for (const int64_t step : {5, 1, 2, 3, 4})
    save_checkpoint(scratch.path, engine, state_at(step, engine), {2, 1, {}});
  CHECK(steps_in(scratch.path) == std::vector<int64_t>{1, 3, 4, 5});
  save_checkpoint(scratch.path, engine, state_at(6, engine), {1, 1, {}});
  CHECK(steps_in(scratch.path) == std::vector<int64_t>{1, 6});
}

TEST_CASE("checkpoint: a torn one does not count as one of the last k") {
  const ScratchFolder scratch;
  BigramEngine engine;
  save_checkpoint(scratch.path, engine, state_at(1, engine), {9, -1, {}});
  const std::string torn = save_checkpoint(scratch.path, engine, state_at(2, engine), {9, -1, {}});
  fs::resize_file(torn + "/model.safetensors", 10);
  save_checkpoint(scratch.path, engine, state_at(3, engine), {2, -1, {}});
  CHECK(steps_in(scratch.path) == std::vector<int64_t>{1, 3});
}

TEST_CASE("checkpoint: what killed processes have left is removed by the next save") {
  const ScratchFolder scratch;
  BigramEngine engine;
  for (const char* name : {"step-000003.tmp", "step-000001.removed.tmp", "notes.tmp"}) {
    fs::create_directories(scratch / "checkpoints/" + name);
    write_file_atomically(scratch / "checkpoints/" + name + "/model.safetensors", "half of it");
  }
  save_checkpoint(scratch.path, engine, state_at(2, engine), {});
  CHECK(std::distance(fs::directory_iterator(scratch / "checkpoints"), fs::directory_iterator()) == 2);
  CHECK(fs::exists(scratch / "checkpoints/notes.tmp"));
}

TEST_CASE("checkpoint: one of the same step is replaced") {
  const ScratchFolder scratch;
  BigramEngine engine, other;
  const std::string path = save_checkpoint(scratch.path, engine, state_at(7, engine), {});
  engine.initialize(5);
  save_checkpoint(scratch.path, engine, state_at(7, engine), {});
  load_checkpoint(path, other);
  CHECK(engine.state() == other.state());
  CHECK(std::distance(fs::directory_iterator(scratch / "checkpoints"), fs::directory_iterator()) == 1);
}

TEST_CASE("checkpoint: every way to be torn is seen, said, and skipped for the newest whole one") {
  const auto flip = [](const std::string& path) {
    std::string bytes = read_file(path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    write_file_atomically(path, bytes);
  };
  struct Way {
    const char* says;
    std::function<void(const std::string& checkpoint)> tear;
  };
  const Way ways[] = {
      {"no manifest.json", [](const std::string& c) { fs::remove(c + "/manifest.json"); }},
      {"valid JSON", [](const std::string& c) { fs::resize_file(c + "/manifest.json", 40); }},
      {"valid JSON", [](const std::string& c) { fs::resize_file(c + "/manifest.json", 0); }},
      {"", [](const std::string& c) { write_file_atomically(c + "/manifest.json", "{\"files\": 3}"); }},
      {"", [](const std::string& c) { write_file_atomically(c + "/manifest.json", "[]"); }},
      {"does not name model",
       [](const std::string& c) { write_file_atomically(c + "/manifest.json", "{\"files\": {}}"); }},
      {"optimizer.safetensors is missing",
       [](const std::string& c) { fs::remove(c + "/optimizer.safetensors"); }},
      {"state.json is missing", [](const std::string& c) { fs::remove(c + "/state.json"); }},
      {"bytes, not", [](const std::string& c) { fs::resize_file(c + "/model.safetensors", 100); }},
      {"checksum of model.safetensors is wrong",
       [&](const std::string& c) { flip(c + "/model.safetensors"); }},
      {"checksum of optimizer.safetensors is wrong",
       [&](const std::string& c) { flip(c + "/optimizer.safetensors"); }},
      {"checksum of state.json is wrong", [&](const std::string& c) { flip(c + "/state.json"); }},
  };
  for (const Way& way : ways) {
    INFO(way.says);
    const ScratchFolder scratch;
    BigramEngine engine, other;
    engine.initialize(1);
    other.initialize(2);
    const std::string good = save_checkpoint(scratch.path, engine, state_at(1, engine), {});
    const std::string torn = save_checkpoint(scratch.path, engine, state_at(2, engine), {});
    way.tear(torn);
    std::string said;
    const auto found = newest_whole_checkpoint(
        scratch.path,
        [&](const std::string& path, const std::string& damage) { said += path + ": " + damage; });
    REQUIRE(found.has_value());
    CHECK(found->path == good);
    CHECK(said.find(torn) == 0);
    CHECK_MESSAGE(said.find(way.says) != std::string::npos, said);
    const auto before = other.state();
    CHECK_THROWS_AS(load_checkpoint(torn, other), FileError);
    CHECK(other.state() == before);
  }
}

TEST_CASE("checkpoint: one of another model is an error that names both shapes, and changes nothing") {
  const ScratchFolder scratch;
  BigramEngine engine(258, 4), wider(258, 8);
  wider.initialize(1);
  const std::string path = save_checkpoint(scratch.path, engine, state_at(1, engine), {});
  const auto before = wider.state();
  try {
    load_checkpoint(path, wider);
    FAIL("accepted");
  } catch (const ConfigError& e) {
    const std::string what = e.what();
    CHECK(what.find("expected the shape of this model, n_layers 1, d_model 8,") != std::string::npos);
    CHECK(what.find("got n_layers 1, d_model 4,") != std::string::npos);
  }
  CHECK(wider.state() == before);
}

TEST_CASE("checkpoint: folders that are not checkpoints are none") {
  const ScratchFolder scratch;
  for (const char* name :
       {"step-000005.tmp", "step-5", "step-00000x", "step-000006.replaced.tmp", "other", "step--00001"})
    fs::create_directories(scratch / "checkpoints/" + name);
  CHECK(list_checkpoints(scratch.path).empty());
  CHECK(list_checkpoints(scratch / "absent").empty());
  CHECK(checkpoint_path("run", 12'345'678) == "run/checkpoints/step-12345678");
  fs::create_directories(checkpoint_path(scratch.path, 12'345'678));
  CHECK(steps_in(scratch.path) == std::vector<int64_t>{12'345'678});
}

TEST_CASE("checkpoint: state.json with a field missing, unknown or wrong is an error") {
  BigramEngine engine;
  const ScratchFolder scratch;
  const std::string path = save_checkpoint(scratch.path, engine, state_at(1, engine), {});
  const Json good = read_json(path + "/state.json");
  const auto refuses = [&](const auto& change) {
    Json bad = good;
    change(bad);
    write_file_atomically(path + "/state.json", bad.dump());
    CHECK_THROWS_AS(read_checkpoint_state(path), Error);
  };
  for (const auto& field : good.items()) refuses([&](Json& j) { j.erase(field.key()); });
  refuses([](Json& j) { j["more"] = 1; });
  refuses([](Json& j) { j["step"] = -1; });
  refuses([](Json& j) { j["step"] = "1"; });
  refuses([](Json& j) { j["generator"]["seed"] = 99; });
  refuses([](Json& j) { j["model"]["n_heads"] = 3; });
  write_file_atomically(path + "/state.json", good.dump());
  CHECK_NOTHROW(read_checkpoint_state(path));
}

// In a child process, since a limit on the size of files would hold for the test program too. Exit codes are its verdict.
static int save_on_a_full_disk(const std::string& run, const BigramEngine& engine, rlim_t bytes) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);  // so that write() fails, as it does on a full disk
    const rlimit limit{bytes, bytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      save_checkpoint(run, engine, state_at(2, engine), {1, -1, {}});
      ::_exit(1);
    } catch (const FileError& e) {
      ::_exit(std::string(e.what()).find("space") != std::string::npos ? 0 : 2);
    } catch (...) {
      ::_exit(3);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE(
    "checkpoint: on a full disk saving is an error, nothing is left of it, and the last good one stays") {
  const ScratchFolder scratch;
  BigramEngine engine, other;
  engine.initialize(1);
  const std::string good = save_checkpoint(scratch.path, engine, state_at(1, engine), {});
  // Inside the weights (8 KB), inside the moments (17 KB), inside state.json (all files are limited alike: 100 bytes
  // already stop the first).
  for (const rlim_t bytes : {100, 4000, 10'000, 16'000})
    CHECK(save_on_a_full_disk(scratch.path, engine, bytes) == 0);
  CHECK(steps_in(scratch.path) == std::vector<int64_t>{1});
  CHECK(std::distance(fs::directory_iterator(scratch / "checkpoints"), fs::directory_iterator()) == 1);
  load_checkpoint(good, other);
  CHECK(engine.state() == other.state());
}
