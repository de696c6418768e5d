#include "ref/data/loader.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "ref/core/npy.hpp"
#include "ref/core/tensor.hpp"
#include "ref/model/cross_entropy.hpp"
#include "tests/data/scratch.hpp"

using namespace dsllm;
using namespace dsllm::testing;

// A file with the ids 0, 1, 2, ...: an id says where it stood.
static TokenFile counting(const ScratchFolder& scratch, int64_t n) {
  Tensor<int32_t, 1> ids(n);
  for (int64_t i = 0; i < n; ++i) ids(i) = static_cast<int32_t>(i);
  write_npy(scratch / "ids.npy", View<int32_t, 1>(ids));
  return TokenFile(scratch.path, {"ids.npy", n, n, 1, ""}, n);
}

TEST_CASE(
    "loader: an epoch reads every sequence once, targets are one token further, and the next is in another "
    "order") {
  const ScratchFolder scratch;
  const TokenFile text = counting(scratch, 107);
  BatchLoader loader(text, 5, 2, 42);
  REQUIRE(loader.sequences() == 21);  // 106 targets; the last one has no place
  Tensor<int32_t, 2> tokens(1, 5), targets(1, 5);
  std::vector<std::vector<int32_t>> orders;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<int32_t> starts;
    for (int i = 0; i < 21; ++i) {
      loader.next(tokens, targets);
      REQUIRE(tokens(0, 0) % 5 == 0);
      for (int64_t t = 0; t < 5; ++t) {
        REQUIRE(tokens(0, t) == tokens(0, 0) + t);
        REQUIRE(targets(0, t) == tokens(0, t) + 1);
      }
      starts.push_back(tokens(0, 0) / 5);
    }
    CHECK(std::set<int32_t>(starts.begin(), starts.end()).size() == 21);
    CHECK(!std::is_sorted(starts.begin(), starts.end()));
    for (const auto& other : orders) CHECK(starts != other);
    orders.push_back(starts);
  }
}

TEST_CASE(
    "loader: from any stored position it goes on exactly, across the end of an epoch and within a batch") {
  const ScratchFolder scratch;
  const TokenFile text = counting(scratch, 40);
  Tensor<int32_t, 2> tokens(4, 3), targets(4, 3), again(4, 3);
  BatchLoader loader(text, 3, 4, 7);
  for (int i = 0; i < 20; ++i) {  // 13 sequences an epoch, 4 a batch
    const DataPosition before = loader.position();
    CHECK(before == DataPosition{(4 * i - (i > 0 ? 1 : 0)) / 13, i == 0 ? 0 : (4 * i - 1) % 13 + 1});
    loader.next(tokens, targets);
    BatchLoader other(text, 3, 4, 7);
    other.seek(before);
    other.next(again, targets);
    CHECK(std::equal(tokens.data, tokens.data + tokens.size(), again.data));
    CHECK(other.position() == loader.position());
  }
}

TEST_CASE("loader: batches do not depend on how they are cut") {
  const ScratchFolder scratch;
  const TokenFile text = counting(scratch, 100);
  Tensor<int32_t, 2> whole(6, 4), targets(6, 4), part(2, 4), part_targets(2, 4);
  BatchLoader one(text, 4, 6, 1), three(text, 4, 6, 1);
  for (int i = 0; i < 10; ++i) {
    one.next(whole, targets);
    for (int64_t row = 0; row < 6; row += 2) {
      three.next(part, part_targets);
      CHECK(std::equal(part.data, part.data + part.size(), whole.row(row).data));
    }
  }
}

TEST_CASE("loader: the order is a function of seed and epoch") {
  const ScratchFolder scratch;
  const TokenFile text = counting(scratch, 101);
  Tensor<int32_t, 2> tokens(20, 5), targets(20, 5);
  std::set<std::vector<int32_t>> orders;
  for (int repetition = 0; repetition < 2; ++repetition)
    for (uint64_t seed = 0; seed < 4; ++seed)
      for (int64_t epoch = 0; epoch < 4; ++epoch) {
        BatchLoader loader(text, 5, 20, seed);
        loader.seek({epoch, 0});
        loader.next(tokens, targets);
        orders.insert(std::vector<int32_t>(tokens.data, tokens.data + tokens.size()));
      }
  CHECK(orders.size() == 16);
}

TEST_CASE("loader: held-out batches cover every token but the first once, in order, and mark what is empty") {
  const ScratchFolder scratch;
  const TokenFile text = counting(scratch, 30);
  Tensor<int32_t, 2> tokens(2, 4), targets(2, 4);
  REQUIRE(heldout_batches(text, 2, 4, 0) == 4);
  std::vector<int32_t> seen;
  int64_t total = 0;
  for (int64_t i = 0; i < 4; ++i) {
    total += read_heldout_batch(text, i, tokens, targets);
    for (int64_t j = 0; j < 8; ++j) {
      if (targets.data[j] == ref::ignored_target) continue;
      CHECK(targets.data[j] == tokens.data[j] + 1);
      seen.push_back(targets.data[j]);
    }
  }
  CHECK(total == 29);
  REQUIRE(seen.size() == 29);
  for (int32_t i = 0; i < 29; ++i) CHECK(seen[static_cast<size_t>(i)] == i + 1);
  CHECK(heldout_batches(text, 2, 4, 16) == 2);
  CHECK(heldout_batches(text, 2, 4, 1) == 1);
  CHECK(heldout_batches(text, 2, 4, 1000) == 4);
}

TEST_CASE(
    "loader: text shorter than a batch, ids outside the vocabulary and impossible positions are errors") {
  const ScratchFolder scratch;
  const TokenFile text = counting(scratch, 40);
  try {
    BatchLoader(text, 10, 4, 0);
    FAIL("accepted");
  } catch (const FileError& e) {
    CHECK(std::string(e.what()).find(
              "expected at least 4 * 10 + 1 tokens, one batch of sequences, got 40 tokens") !=
          std::string::npos);
  }
  CHECK_NOTHROW(BatchLoader(text, 13, 3, 0));
  BatchLoader loader(text, 3, 1, 0);
  CHECK_THROWS_AS(loader.seek({0, 14}), ValueError);
  CHECK_THROWS_AS(loader.seek({-1, 0}), ValueError);
  CHECK_NOTHROW(loader.seek({5, 13}));

  const TokenFile narrow(scratch.path, {"ids.npy", 40, 40, 1, ""}, 39);
  Tensor<int32_t, 2> tokens(13, 3), targets(13, 3);
  BatchLoader bad(narrow, 3, 1, 0);
  try {
    bad.next(tokens, targets);
    FAIL("accepted");
  } catch (const FileError& e) {
    CHECK(std::string(e.what()).find("token 39: expected ids below the vocabulary of 39, got 39") !=
          std::string::npos);
  }
  CHECK(bad.position() == DataPosition{});
}

TEST_CASE("dataset: a manifest that disagrees with its files, or lacks a field, is an error") {
  const ScratchFolder scratch;
  const std::string out = scratch / "data";
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += "some text\n";
  pack({{scratch.write("a.txt", lines)}, out, "", 0.1, 50, 0}, byte_tokenizer());
  const Json good = read_json(out + "/data.json");
  CHECK_NOTHROW(Dataset::open(out));
  const auto error = [&](const char* message, const auto& change) {
    Json bad = good;
    change(bad);
    write_file_atomically(out + "/data.json", bad.dump());
    try {
      Dataset::open(out);
      FAIL("accepted " << bad.dump());
    } catch (const Error& e) {
      CHECK_MESSAGE(std::string(e.what()).find(message) != std::string::npos, std::string(e.what()));
    }
  };
  const int64_t tokens = good.at("train").at("tokens");
  error("tokens of the manifest", [&](Json& j) { j["train"]["tokens"] = tokens + 1; });
  error("vocab_size = 257, got 257", [](Json& j) { j["vocab_size"] = 257; });
  error("field 'documents'", [](Json& j) { j.erase("documents"); });
  error("train: field 'checksum'", [](Json& j) { j["train"].erase("checksum"); });
  error("an unknown field", [](Json& j) { j["train"]["more"] = 1; });
  error("'train' and 'heldout'", [](Json& j) { j.erase("heldout"); });
  error("name of a file beside it", [](Json& j) { j["train"]["file"] = "../train.npy"; });
  error("absent.npy", [](Json& j) { j["train"]["file"] = "absent.npy"; });
  error("bytes of text", [](Json& j) { j["train"]["bytes"] = -1; });
  write_npy(out + "/train.npy", View<const double, 1>(nullptr, {0}));
  error("one dimension of uint16 or int32, got 1 dimensions of F64", [](Json&) {});
}

TEST_CASE("dataset: bits per byte") {
  // 100 tokens at ln 2 nats are 100 bits; over 50 bytes: 2.
  CHECK(bits_per_byte(0.6931471805599453, {"", 100, 50, 1, ""}) == doctest::Approx(2).epsilon(1e-15));
  CHECK(bits_per_byte(1, {"", 0, 0, 0, ""}) == 0);
}
