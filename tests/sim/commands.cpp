// dsllm-sim as a user meets it: as a process with arguments, exit codes and two streams.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>
#include <set>

#include "ref/core/file.hpp"
#include "ref/core/json.hpp"
#include "tests/temporary_folder.hpp"

using namespace dsllm;

namespace {

struct Outcome {
  int code;
  std::string out, err;
};

// Runs `dsllm-sim arguments` in a shell, which sees quotes and redirections.
Outcome run(const std::string& arguments) {
  const TemporaryFolder folder;
  const int status = std::system(fmt::format("{{ '{}/dsllm-sim' {}; }} >'{}' 2>'{}'", DSLLM_BIN_DIR,
                                             arguments, folder / "out", folder / "err")
                                     .c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(folder / "out"), read_file(folder / "err")};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Json json_of(const Outcome& o) {
  return parse_json(o.out, "standard output");
}

}  // namespace

TEST_CASE("dsllm-sim: every command has --help with an example on standard output") {
  for (const char* command :
       {"report", "search", "sweep", "schedule", "scaling", "scaling law", "scaling isoflop", "scaling grid",
        "scaling predict", "claims", "validate", "models", "gpus"}) {
    const Outcome help = run(std::string(command) + " --help");
    CHECK_MESSAGE(help.code == 0, command);
    CHECK_MESSAGE(contains(help.out, std::string("example: dsllm-sim ") + command), command);
    CHECK(help.err.empty());
  }
}

TEST_CASE("dsllm-sim: wrong usage exits with 2, what cannot be with 1; words on standard error only") {
  for (const char* usage :
       {"", "no-such-command", "report --no-such-option", "report --tp eight", "report --tp",
        "search --threads -1", "schedule --f x", "sweep --counts 1,,2", "validate", "scaling", "scaling law",
        "scaling law --compute x", "scaling law --compute 1e20 --json --csv",
        "scaling predict --input x --budgets 1e23,"}) {
    const Outcome o = run(usage);
    CHECK_MESSAGE(o.code == 2, usage << ": " << o.code);
    CHECK_MESSAGE(o.out.empty(), usage);
    CHECK_MESSAGE(!o.err.empty(), usage);
  }
  CHECK(run("models >/dev/full").code == 1);
}

TEST_CASE("dsllm-sim: what cannot be is named with its field, its value and the rule") {
  const auto error = [](const std::string& arguments) {
    const Outcome o = run(arguments);
    CHECK_MESSAGE(o.code == 1, arguments << ": " << o.code);
    CHECK_MESSAGE(o.out.empty(), arguments);
    CHECK_MESSAGE(o.err.rfind("dsllm-sim: ", 0) == 0, arguments << ": " << o.err);
    return o.err;
  };
  const auto names = [&](const std::string& arguments, std::initializer_list<const char*> parts) {
    const std::string e = error(arguments);
    for (const char* part : parts) CHECK_MESSAGE(contains(e, part), arguments << ": " << e);
  };
  // Layouts that cannot be, with the nearest that works.
  names("report --gpus 48 --tp 3", {"tp:", "n_heads", "got 3", "nearest"});
  names("report --gpus 64 --pp 64", {"pp", "n_layers", "64", "nearest"});
  names("report --gpus 8 --pp 4 --interleave 16 --schedule interleaved", {"interleave", "16"});
  names("report --gpus 8 --global-batch 12", {"global_batch", "12", "nearest"});
  names("report --gpus 3 --pp 3 --schedule dualpipe", {"pp", "even", "got 3"});
  names("report --gpus 8 --tp 4 --pp 4", {"8", "16"});
  names("report --gpus 8 --dp 16", {"dp", "16"});
  names("report --sp", {"sp", "tp"});
  // Numbers that cannot be.
  names("report --network-bytes-per-s -1", {"network_bytes_per_s:", "got -1"});
  names("report --hbm-bytes nan", {"hbm_bytes:", "nan"});
  names("report --flops-per-s inf", {"flops_per_s:", "inf"});
  names("report --gpus 0", {"gpus:", "got 0"});
  names("report --seq-len 0", {"seq_len:", "got 0"});
  names("report --n-layers 0", {"n_layers:", "got 0"});
  names("report --n-heads 0", {"n_heads:", "got 0"});
  names("report --gpus 1 --global-batch 2000000 --csv /tmp/no.csv", {"2^20 forward passes", "2,000,000"});
  names("report --d-model 4100 --n-heads 32", {"d_model:", "multiple of n_heads = 32", "4100"});
  names("report --tokens -1", {"tokens:", "-1"});
  names("report --tokens nan", {"tokens:", "nan"});
  names("report --price-per-gpu-hour -2", {"price_per_gpu_hour:", "-2"});
  names("report --width -5", {"width:", "got -5"});
  names("schedule --width 1000000000000", {"width:", "10 to 1000"});
  // Names that nobody knows.
  names("report --model gpt-5", {"deepseek-llm-67b", "'gpt-5'"});
  names("report --gpu abacus", {"h800-sxm", "'abacus'"});
  names("report --schedule 2f2b", {"zb-h2", "2f2b"});
  names("report --precision int4", {"precision", "bf16", "int4"});
  names("report --recompute some", {"selective", "some"});
  // Searches that leave nothing.
  names("search --gpus 24 --tp 3", {"tp must divide n_heads"});
  names("search --gpus 8 --tp 3", {"tp: expected a divisor of 8 GPUs; the nearest is 2, got 3"});
  names("search --gpus 8 --top 0", {"top:", "got 0"});
  names("sweep --gpus 8 --to 4", {"to:", "at least 8", "got 4"});
  names("sweep --counts 8,12 --global-batch 9 --weak", {"gpus:", "9 sequences on 8 GPUs", "got 12"});
  // Tables that cannot be read.
  names("validate --table /no/such/file", {"/no/such/file"});
  names("scaling isoflop --input /no/such/file", {"/no/such/file"});
  names("scaling law --compute -1", {"-1"});
  names("scaling law --compute nan", {"nan"});
  // Schedules that cannot be.
  names("schedule --schedule dualpipe --stages 5", {"stages", "even", "5"});
  names("schedule --schedule interleaved --stages 4 --micro-batches 6 --interleave 2",
        {"micro_batches", "6"});
  names("schedule --stages 0", {"stages:", "got 0"});
  names("schedule --micro-batches -3", {"micro_batches:", "got -3"});
  names("schedule --f nan", {"f:", "nan"});
  names("schedule --comm -1", {"comm:", "-1"});
  names("schedule --f 0 --b 0 --w 0", {"f + b + w"});
  names("schedule --interleave 2", {"interleave:", "got 2"});
  names("schedule --stages 4000 --micro-batches 1000000", {"at most"});
}

TEST_CASE("dsllm-sim: a scenario file of another version, or with unknown fields, is a clear error") {
  const TemporaryFolder folder;
  const auto error = [&](const char* text) {
    write_file_atomically(folder / "s.json", text);
    const Outcome o = run("report --scenario '" + (folder / "s.json") + "'");
    CHECK(o.code == 1);
    CHECK(o.out.empty());
    return o.err;
  };
  CHECK(contains(error(R"({"dsllm-sim": 2})"),
                 "s.json: field 'dsllm-sim': expected version 1 of this format, got 2"));
  CHECK(contains(error("{}"), "no field 'dsllm-sim'"));
  CHECK(contains(error(R"({"dsllm-sim": 1, "layout": {"tpp": 8}})"), "field 'tpp'"));
  CHECK(contains(error(R"({"dsllm-sim": 1, "cluster": {"node_bytes_per_s": -5}})"), "node_bytes_per_s"));
  CHECK(contains(error("{"), "s.json"));
  CHECK(contains(run("report --scenario /no/such/file").err, "/no/such/file"));
}

TEST_CASE("dsllm-sim: a report of the 67B model adds up") {
  const TemporaryFolder folder;
  const std::string layout =
      "report --model deepseek-llm-67b --gpu h800-sxm --gpus 1024 --tp 8 --pp 8 --micro-batch 1 "
      "--global-batch 4608 "
      "--schedule 1f1b --zero 1 --sp --recompute selective --price-per-gpu-hour 2 ";
  const Outcome text = run(layout + "--save '" + (folder / "s.json") + "' --trace '" + (folder / "t.json") +
                           "' --csv '" + (folder / "t.csv") + "'");
  CHECK(text.code == 0);
  CHECK(text.err.empty());
  for (const char* part : {"67,425,001,472", "dp 16 x tp 8 x pp 8", "bubble = (8-1)/(288+8-1) = 2.4%",
                           "It fits: stage 0 needs most", "rank 7", "6 N1 = 72 n d^2"})
    CHECK_MESSAGE(contains(text.out, part), part);
  CHECK(read_json(folder / "t.json")["traceEvents"].size() > 8 * 288 * 2);
  // A process for every replica that is asked for.
  const std::string small = "report --gpus 8 --pp 4 --global-batch 8 --trace '" + (folder / "r.json") + "' ";
  CHECK(run(small + "--trace-replicas 2").code == 0);
  std::set<int64_t> processes;
  const Json replicas = read_json(folder / "r.json");
  for (const Json& event : replicas["traceEvents"]) processes.insert(event["pid"].get<int64_t>());
  CHECK(processes.size() == 2);
  const Outcome many = run(small + "--trace-replicas 3");
  CHECK(many.code == 1);
  CHECK(contains(many.err, "trace_replicas: expected 1 to dp = 2 replicas, got 3"));
  CHECK(contains(read_file(folder / "t.csv"), "rank,stream,name"));

  const Json j = json_of(run(layout + "--json"));
  CHECK(j["model"]["parameters"] == 67'425'001'472);
  // The step's time, by the engine and by formula; speed, use of the peak, hours and money follow from it.
  const double step_s = j["step_s"];
  CHECK(step_s > 0);
  CHECK(j["estimate"]["step_s"].get<double>() == doctest::Approx(step_s).epsilon(0.02));
  double shares = 0;
  for (const Json& share : j["estimate"]["shares"]) shares += share.get<double>();
  CHECK(shares == doctest::Approx(j["estimate"]["step_s"].get<double>()));
  CHECK(j["tokens_per_s"].get<double>() == doctest::Approx(4608 * 4096 / step_s));
  const double flops = 4608 * 4096.0 * 419.0e9;  // causal: 6 (N without embedding) + 6 n d s a token
  CHECK(j["mfu_causal"].get<double>() == doctest::Approx(flops / (step_s * 1024 * 989.5e12)).epsilon(0.002));
  CHECK(j["mfu_full"].get<double>() > j["mfu_causal"].get<double>());
  CHECK(j["training"]["steps"].get<double>() == doctest::Approx(2e12 / (4608 * 4096)));
  CHECK(j["training"]["gpu_hours"].get<double>() ==
        doctest::Approx(2e12 / (4608 * 4096) * step_s / 3600 * 1024));
  CHECK(j["training"]["cost"].get<double>() == doctest::Approx(2 * j["training"]["gpu_hours"].get<double>()));
  // Every stage's memory is the sum of its parts, and every parameter has its two bytes of weight.
  double weights = 0;
  CHECK(j["memory"]["stages"].size() == 8);
  for (const Json& stage : j["memory"]["stages"]) {
    double sum = 0;
    for (const char* part :
         {"weights", "gradients", "optimizer", "activations", "logits", "buffers", "allowance", "context"})
      sum += stage[std::string(part) + "_bytes"].get<double>();
    CHECK(sum == doctest::Approx(stage["total_bytes"].get<double>()));
    weights += stage["weights_bytes"].get<double>();
  }
  CHECK(weights * 8 == doctest::Approx(2 * 67'425'001'472.0).epsilon(0.001));  // norms are on every rank
  CHECK(j["fits"] == true);
  // Generation: an eighth of the weights, and one of the 8 key heads: 2 * 95 * 128 * 2 bytes a token.
  CHECK(j["generation"]["cache_bytes_per_token"] == 2 * 95 * 128 * 2);
  CHECK(j["generation"]["weight_bytes"].get<double>() ==
        doctest::Approx(2 * 67'425'001'472.0 / 8).epsilon(0.001));
  CHECK(j["generation"]["sequences"].get<int64_t>() > 100);

  // The file that was saved is the same scenario; its fields give way to options.
  const Json again = json_of(run("report --json --scenario '" + (folder / "s.json") + "'"));
  CHECK(again["scenario"] == j["scenario"]);
  CHECK(again["step_s"] == j["step_s"]);
  CHECK(json_of(run("report --json --tp 4 --dp 32 --scenario '" + (folder / "s.json") +
                    "'"))["scenario"]["layout"]["tp"] == 4);
}

TEST_CASE("dsllm-sim: flags can be given and taken back") {
  const TemporaryFolder folder;
  const auto scenario = [&](const std::string& options) {
    return json_of(run("report --json --tp 2 " + options))["scenario"];
  };
  CHECK(scenario("--sp")["layout"]["sp"] == true);
  CHECK(scenario("--no-sp")["layout"]["sp"] == false);
  CHECK(scenario("")["recipe"]["overlap_dp"] == true);
  CHECK(scenario("--no-overlap-dp")["recipe"]["overlap_dp"] == false);
  CHECK(run("report --tp 2 --sp --save '" + (folder / "s.json") + "'").code == 0);
  CHECK(scenario("--scenario '" + (folder / "s.json") + "' --no-sp")["layout"]["sp"] == false);
}

TEST_CASE(
    "dsllm-sim: a report of what does not fit says why; one GPU, one layer, one token are a scenario too") {
  const Outcome o = run("report --model deepseek-llm-67b --gpus 8 --tp 8 --global-batch 8");
  CHECK(o.code == 0);
  CHECK(contains(o.out, "It does not fit: stage 0 needs "));
  CHECK(contains(o.out, " GB of 84.9 GB"));
  const Json tiny = json_of(run(
      "report --json --gpus 1 --n-layers 1 --d-model 8 --n-heads 1 --n-kv-heads 1 --d-ff 8 --vocab-size 2 "
      "--seq-len 1 --global-batch 1"));
  CHECK(tiny["step_s"].get<double>() > 0);
  CHECK(std::isfinite(tiny["mfu_causal"].get<double>()));
  CHECK(tiny["pipeline_formula"].is_null());
}

TEST_CASE("dsllm-sim: a search ranks, names what the others lack, and saves the best") {
  const TemporaryFolder folder;
  const std::string search = "search --gpus 32 --gpu h100-sxm --global-batch 256 --top 4 ";
  const Outcome text =
      run(search + "--save '" + (folder / "best.json") + "' --csv '" + (folder / "best.csv") + "'");
  CHECK(text.code == 0);
  CHECK(contains(text.err, "search: "));  // progress
  for (const char* part : {"ways to divide the GPUs", "do not fit into memory", "The best 4 by step time",
                           "Time against memory", "the schedule dualpipe needs"})
    CHECK_MESSAGE(contains(text.out, part), part);
  const Json j = json_of(run(search + "--json"));
  REQUIRE(j["best"].size() == 4);
  for (size_t i = 1; i < 4; ++i)
    CHECK(j["best"][i - 1]["step_s"].get<double>() <= j["best"][i]["step_s"].get<double>());
  CHECK(j["layouts"].get<int64_t>() ==
        j["impossible"].get<int64_t>() + j["too_large"].get<int64_t>() + j["fit"].get<int64_t>());
  for (const Json& c : j["best_too_large"]) CHECK(contains(c["why"], " GB of 84.9 GB"));
  // What a report of the best says is what the search said.
  const Json report = json_of(run("report --json --scenario '" + (folder / "best.json") + "'"));
  CHECK(report["step_s"] == j["best"][0]["step_s"]);
  CHECK(report["scenario"]["layout"]["tp"] == j["best"][0]["layout"]["tp"]);
  CHECK(contains(read_file(folder / "best.csv"), "step_s,mfu_causal,tokens_per_s,worst_rank_bytes,dp,tp,pp"));
  // The same for one thread and for many.
  for (const char* threads : {"1", "2", "5"}) CHECK(run(search + "--threads " + threads).out == text.out);
  // A field that is given is kept.
  const Json fixed = json_of(run(search + "--json --tp 4 --schedule zb-h1"));
  for (const Json& c : fixed["best"]) {
    CHECK(c["layout"]["tp"] == 4);
    CHECK(c["layout"]["schedule"] == "zb-h1");
  }
  // Nothing fits into 2 GB: said, not an error; but there is nothing to save.
  const Outcome none = run("search --gpus 8 --hbm-bytes 2e9 --global-batch 64");
  CHECK(none.code == 1);
  CHECK(contains(none.out, "No layout fits"));
  CHECK(run("search --gpus 8 --hbm-bytes 2e9 --global-batch 64 --save /tmp/no").code == 1);
}

TEST_CASE("dsllm-sim: sweeps keep the batch, or let it grow") {
  const Json strong = json_of(run("sweep --gpus 8 --to 32 --global-batch 64 --json"));
  const Json weak = json_of(run("sweep --gpus 8 --to 32 --global-batch 64 --weak --json"));
  REQUIRE(strong["points"].size() == 3);
  REQUIRE(weak["points"].size() == 3);
  CHECK(strong["points"][2]["gpus"] == 32);
  CHECK(strong["points"][2]["global_batch"] == 64);
  CHECK(weak["points"][2]["global_batch"] == 256);
  CHECK(strong["points"][0] == weak["points"][0]);
  CHECK(strong["points"][2]["speedup"].get<double>() > 2);
  const TemporaryFolder folder;
  CHECK(contains(run("sweep --counts 8,24 --global-batch 96 --csv '" + (folder / "s.csv") + "'").out,
                 "strong scaling"));
  CHECK(contains(read_file(folder / "s.csv"), "gpus,step_s,"));
}

TEST_CASE("dsllm-sim: tables of measurements: an unknown column, a NaN, and one that is read") {
  const TemporaryFolder folder;
  const std::string header =
      "name,n_layers,d_model,n_heads,n_kv_heads,d_ff,gated,tied,vocab_size,seq_len,gpu,gpus,gpus_per_node,dp,"
      "tp,pp,"
      "cp,interleave,schedule,zero,micro_batch,global_batch,recompute,sp,precision,measured_step_time_s,"
      "measured_memory_bytes,oom";
  const std::string row =
      "a,48,6144,64,64,24576,0,1,51200,2048,a100-sxm,8,8,1,8,1,1,1,1f1b,0,4,4,full,0,bf16,";
  const auto validate = [&](const std::string& table, const std::string& options = "") {
    write_file_atomically(folder / "t.csv", table);
    return run("validate --table '" + (folder / "t.csv") + "' " + options);
  };
  const Outcome read = validate(header + "\n" + row + "1.42,,0\n");
  CHECK(read.code == 0);
  CHECK(contains(read.out, "1.420"));
  CHECK(contains(read.out, "naive"));
  CHECK(json_of(validate(header + "\n" + row + "1.42,,0\n", "--json")).is_object());
  const Outcome nan = validate(header + "\n" + row + "nan,,0\n");
  CHECK(nan.code == 1);
  CHECK(contains(nan.err, "line 2"));
  CHECK(contains(nan.err, "measured_step_time_s"));
  const Outcome unknown = validate(header + ",colour\n" + row + "1.42,,0,red\n");
  CHECK(unknown.code == 1);
  CHECK(contains(unknown.err, "colour"));
}

TEST_CASE("dsllm-sim: claims have verdicts, laws their formulas") {
  const Outcome claims = run("claims");
  CHECK(claims.code == 0);
  CHECK(contains(claims.out, "13.4"));
  CHECK(json_of(run("claims --json")).size() > 0);
  CHECK(contains(run("scaling law --compute 1e20").out, "0.3118"));
}

TEST_CASE("dsllm-sim: models and gpus list what a scenario can name") {
  CHECK(contains(run("models").out, "67,425,001,472"));
  CHECK(contains(run("models").out, "6,910,365,696"));
  const Json gpus = json_of(run("gpus --json"));
  bool found = false;
  for (const Json& g : gpus) found = found || g["name"] == "h800-sxm";
  CHECK(found);
  CHECK(contains(run("gpus").out, "h100-sxm"));
}

TEST_CASE("dsllm-sim: a schedule by formula and by the engine, with its files") {
  const TemporaryFolder folder;
  const Outcome o = run("schedule --schedule 1f1b --stages 8 --micro-batches 24");
  CHECK(o.code == 0);
  CHECK(o.err.empty());
  CHECK(contains(o.out, "(8-1)/(24+8-1) = 22.6%"));
  CHECK(contains(o.out, "bubble = 22.6% of the whole"));

  const Json j = json_of(run("schedule --schedule zb-h2 --stages 4 --micro-batches 12 --json --trace '" +
                             (folder / "t.json") + "' --csv '" + (folder / "t.csv") + "'"));
  CHECK(j["engine"]["bubble_of_span"].get<double>() == doctest::Approx(0));
  CHECK(j["engine"]["ranks"].size() == 4);
  const Json trace = read_json(folder / "t.json");
  CHECK(trace["traceEvents"].size() > 4 * 12 * 3);
  CHECK(
      contains(read_file(folder / "t.csv"), "rank,stream,name,kind,micro_batch,chunk,start_s,end_s,peer\n"));
  CHECK(run("schedule --trace /no/such/folder/t.json").code == 1);
  // Chunks share the stage's passes: the same work whatever v is, and the bubble is a v-th.
  const Json v =
      json_of(run("schedule --schedule interleaved --stages 4 --micro-batches 8 --interleave 2 --json"));
  CHECK(v["engine"]["ranks"][0]["busy_s"].get<double>() == doctest::Approx(8 * 3));
  CHECK(v["formula"]["bubble_s"].get<double>() == doctest::Approx(3 * 3 / 2.0));
  CHECK(v["engine"]["makespan_s"].get<double>() == doctest::Approx(8 * 3 + 3 * 3 / 2.0));
  const Json d = json_of(run("schedule --schedule dualpipe --stages 4 --micro-batches 8 --json"));
  CHECK(d["engine"]["ranks"][0]["busy_s"].get<double>() == doctest::Approx(8 * 3));
  // One stage, one micro-batch: no bubble, and nothing is divided by zero.
  const Json one = json_of(run("schedule --stages 1 --micro-batches 1 --json"));
  CHECK(one["engine"]["bubble_of_total"].get<double>() == 0);
  CHECK(one["formula"]["bubble_s"].get<double>() == 0);
}
