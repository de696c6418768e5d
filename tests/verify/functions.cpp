// The functions of dsllm-verify.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <limits>
#include <set>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "ref/core/json.hpp"
#include "tests/pairs/registry.hpp"
#include "tests/verify/report.hpp"
#include "tests/verify/verify.hpp"

using namespace dsllm;
using namespace dsllm::tests;

namespace {

const auto everybody = [](const Candidate&) { return true; };
const auto reference = [](const Candidate& c) { return c.backend == Backend::ref; };

std::string refusal(const VerifyOptions& options) {
  try {
    verify(chosen_pairs(options), options, everybody);
    return "";
  } catch (const UsageError& e) {
    return e.what();
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("verify: a shape has all fields of its operation, once, as numbers") {
  const Pair& pair = find_pair("rmsnorm_forward");
  const Numbers numbers = parse_shape(pair, "n=3,eps=1e-6,d=64");
  CHECK(numbers.size("n") == 3);
  CHECK(numbers.at("eps") == 1e-6);
  for (const Pair& p : all_pairs())
    for (const Numbers& c : p.cases) CHECK(parse_shape(p, shape_text(c)) == c);

  for (const auto& entry : std::map<std::string, std::string>{
           {"", "got ''"},
           {"n=3,d=64", "got 'n=3,d=64', which lacks eps"},
           {"n=3,d=64,eps=1e-6,width=2", "got the field 'width'"},
           {"n=3,n=3,d=64,eps=1", "got 'n' twice"},
           {"n=3,d=64,eps=", "got 'eps='"},
           {"n=3,d=64,eps=1x", "got 'eps=1x'"},
           {"n=3,d=64,eps=nan", "got 'eps=nan'"},
           {"n=3,d=64,eps=1,", "got ''"},
           {"n=2.5,d=64,eps=1", "(n: expected a whole number from 0 on, got 2.5)"},
           {"n=-1,d=64,eps=1", "(n: expected a whole number from 0 on, got -1)"},
           {"n=1e6,d=1e6,eps=1", "expected at most 2^28 elements in an argument"}}) {
    // No structured binding: clang 14 lets no lambda see one, and doctest's messages are lambdas.
    const std::string &text = entry.first, &got = entry.second;
    const std::string words = refusal({{"rmsnorm_forward"}, text});
    CHECK_MESSAGE(contains(words, got), text << ": " << words);
    CHECK_MESSAGE(contains(words, "\n    d=64,eps=1e-06,n=3"), text << ": " << words);
  }
  CHECK(
      contains(refusal({{"rope_forward"}, "batch=1,d_head=7,halves=0,heads=1,position=0,seq=3,theta=10000"}),
               "got batch=1,d_head=7"));
  CHECK(contains(refusal({{}, "n=3"}), "expected one operation with it, by --op"));
  const std::string unknown = refusal({{"rmsnorm"}, {}});
  for (const Pair& p : all_pairs()) CHECK(contains(unknown, "\n    " + p.name));
}

TEST_CASE("verify: any shape passes or is refused") {
  int passed = 0, refused = 0;
  for (const Pair& pair : all_pairs()) {
    const Numbers example = parse_shape(pair, shape_text(pair.cases[0]));
    for (const auto& [field, value] : example)
      for (const double x : {0.0, 1.0, 2.0, 3.0, 8.0, 17.0, -1.0, 2.5, 1e-3, 1e300}) {
        Numbers numbers = example;
        numbers[field] = x;
        const VerifyOptions options{{pair.name}, shape_text(numbers)};
        try {
          for (const Result& r : verify(chosen_pairs(options), options, everybody)) {
            CHECK_MESSAGE(r.verdict.pass, pair.name << ", " << r.candidate << ": " << r.verdict.reason);
            ++passed;
          }
        } catch (const UsageError&) {
          ++refused;
        }
      }
  }
  CHECK(passed > refused);
  CHECK(refused > 100);
}

TEST_CASE("verify: the seed changes the inputs, and nothing else does") {
  const auto error = [](uint64_t seed) {
    const VerifyOptions options{{"dpo_loss"}, {}, seed};
    return verify(chosen_pairs(options), options, reference).at(0).verdict.error;
  };
  CHECK(error(0) == error(0));
  CHECK(error(5) == error(5));
  CHECK(error(0) != error(5));
}

TEST_CASE("verify: a wrong candidate is named, with the case, the element and both values") {
  Pair pair = find_pair("swiglu_forward");
  const Run right = pair.candidates[0].run;
  pair.candidates[0].run = [right](Call& c) {
    right(c);
    if (c.array("y").size() > 100) c.array("y").set(77, 1);
  };
  const std::vector<Result> results = verify({pair}, {}, everybody);
  CHECK_FALSE(results.at(0).verdict.pass);
  CHECK(contains(line_of(results[0]), "FAIL  swiglu_forward"));
  CHECK(contains(line_of(results[0]), "d_ff = 257, n = 3, scale = 3, normal: y[77]: 1, the truth is "));
  CHECK(summary({results[0]}) == "1 verdict on 1 operation: 1 FAIL");
  CHECK(contains(markdown({results[0]}), "| **fails** |"));
}

TEST_CASE("verify: what is judged can be interrupted, and counts its cases") {
  int cases = 0;
  struct Stop {};
  const std::vector<Pair> pairs = chosen_pairs({});
  CHECK_THROWS_AS(verify(pairs, {}, reference, {},
                         [&] {
                           if (++cases == 7) throw Stop();
                         }),
                  Stop);
  CHECK(cases == 7);
  cases = 0;
  int64_t promised = 0;
  for (const Result& r : verify(pairs, {}, reference, {}, [&] { ++cases; })) promised += r.cases;
  CHECK(cases == promised);
}

TEST_CASE("verify: who watches over the cases may fail the verdict, and a race does") {
  int begun = 0;
  std::string races;
  const Watch watch{[&] { ++begun; },
                    [&](const Pair& pair, const Candidate&, Result& r) {
                      CHECK(pair.name == "dpo_loss");
                      reject_races(races, r.verdict);
                    }};
  const auto run = [&] {
    return verify(
        {find_pair("dpo_loss")}, {}, [](const Candidate& c) { return c.backend == Backend::ref; }, {}, {},
        &watch);
  };
  CHECK(run().at(0).verdict.pass);
  races = "f: race on x[3]";
  const Verdict racy = run().at(0).verdict;
  CHECK_FALSE(racy.pass);
  CHECK(racy.reason == "the numbers are right by luck: f: race on x[3]");
  CHECK(begun == 2);
  Verdict wrong;
  wrong.pass = false, wrong.reason = "y[0]: wrong";
  reject_races(races, wrong);
  CHECK(wrong.reason == "y[0]: wrong");
}

TEST_CASE("verify: JSON says what the verdicts say, and comes back as it was") {
  Result good{"a", "2.2", "ref float", Backend::cuda_on_device, 3, {}};
  good.verdict.error = 0.25, good.verdict.max_share = 0.5, good.verdict.worst = "y[3]",
  good.verdict.elements = 9;
  Result bad = good;
  bad.backend = Backend::cuda_on_cpu;
  bad.verdict.pass = false, bad.verdict.reason = "threw: \"x\"\n";
  bad.verdict.max_share = std::numeric_limits<double>::infinity();
  const std::string text = to_json({good, bad}).dump();
  const Json json = parse_json(text, "out");
  CHECK(json["failed"] == 1);
  CHECK(json["results"][0]["runs_on"] == "device");
  CHECK(json["results"][1]["share"].is_null());
  const std::vector<Result> back = results_from_json(json, "out");
  CHECK(back.size() == 2);
  CHECK(back[0].backend == Backend::cuda_on_device);
  CHECK(back[1].backend == Backend::cuda_on_cpu);
  CHECK(line_of(back[0]) == line_of(good));
  CHECK(line_of(back[1]) == line_of(bad));
  for (const char* broken : {"{}", "[]", R"({"results": [{}]})", R"({"results": [{"operation": 1}]})"})
    CHECK_THROWS_AS(results_from_json(parse_json(broken, "out"), "out"), FileError);
}

TEST_CASE("verify: the list has every operation, case and candidate") {
  const std::string text = list_text(all_pairs());
  const Json json = list_json(all_pairs())["pairs"];
  CHECK(json.size() == all_pairs().size());
  for (size_t i = 0; i < all_pairs().size(); ++i) {
    const Pair& pair = all_pairs()[i];
    CHECK(json[i]["operation"] == pair.name);
    CHECK(json[i]["cases"].size() == pair.cases.size());
    CHECK(json[i]["candidates"].size() == pair.candidates.size());
    CHECK(contains(text, pair.name + " (paper, section " + pair.section + ")\n"));
  }
}

TEST_CASE("verify: names of operations are unique, and of the candidates of one") {
  std::set<std::string> operations;
  for (const Pair& pair : all_pairs()) {
    CHECK_MESSAGE(operations.insert(pair.name).second, pair.name);
    std::set<std::string> candidates;
    for (const Candidate& c : pair.candidates)
      CHECK_MESSAGE(candidates.insert(c.name).second, pair.name << ": " << c.name);
  }
}

TEST_CASE("verify: what is timed is a shape of its operation, and every kernel is made for it") {
  for (const Pair& pair : all_pairs()) {
    CHECK_MESSAGE(parse_shape(pair, shape_text(pair.bench)) == pair.bench, pair.name);
    for (const Candidate& c : pair.candidates) {
      CHECK_MESSAGE((c.backend != Backend::ref) == static_cast<bool>(c.launch), pair.name);
      if (!c.launch) continue;
      CHECK_MESSAGE(c.supports(pair.bench), pair.name << ", " << c.name);
      CHECK_MESSAGE(c.supports(pair.bench_on_device), pair.name << ", " << c.name);
      CHECK_MESSAGE(parse_shape(pair, shape_text(pair.bench_on_device)) == pair.bench_on_device, pair.name);
    }
  }
}

TEST_CASE("verify: the candidates of an operation in a few words") {
  CHECK(candidates_text({"ref float"}) == "ref float");
  CHECK(
      candidates_text({"ref float", "ref bf16 logits", "cuda float, a", "cuda bf16, a", "cuda bf16, b, c"}) ==
      "ref float; ref bf16 logits; kernels: a (float, bf16), b, c (bf16)");
}

TEST_CASE("verify: the README's table is that of --markdown") {
  const std::string readme = read_file(DSLLM_SOURCE_DIR "/README.md");
  const size_t begin = readme.find("| operation | paper | candidates | worst share of its bound |\n");
  REQUIRE(begin != std::string::npos);
  std::vector<std::string> rows;
  for (size_t at = readme.find('\n', readme.find('\n', begin) + 1) + 1; readme[at] == '|';) {
    const size_t end = readme.find('\n', at);
    rows.push_back(readme.substr(at, end - at));
    at = end + 1;
  }
  // All but the measured number.
  CHECK_MESSAGE(rows.size() == all_pairs().size(), "write the table anew: dsllm-verify --markdown");
  for (size_t i = 0; i < std::min(rows.size(), all_pairs().size()); ++i) {
    const Pair& pair = all_pairs()[i];
    std::vector<std::string> names;
    for (const Candidate& c : pair.candidates) names.push_back(c.name);
    const std::string expected =
        fmt::format("| `{}` | {} | {} | ", pair.name, pair.section, candidates_text(names));
    CHECK_MESSAGE(rows[i].starts_with(expected), "expected: " << expected << "\nREADME:   " << rows[i]);
  }
}
