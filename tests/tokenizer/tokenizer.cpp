#include "ref/tokenizer/tokenizer.hpp"

#include <doctest/doctest.h>

#include <random>
#include <thread>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "ref/tokenizer/byte_level.hpp"
#include "ref/tokenizer/stream_decoder.hpp"
#include "tests/tokenizer/small.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using Ids = std::vector<int32_t>;

namespace {

// Bytes a, b, c and the merges "a b" and "bc c" in every order that the cases below need.
Vocabulary tiny(std::vector<Merge> merges, std::vector<std::string> more) {
  Vocabulary v;
  v.tokens = {"a", "b", "c"};
  v.tokens.insert(v.tokens.end(), more.begin(), more.end());
  v.merges = std::move(merges);
  return v;
}

// By definition: again and again, the leftmost pair of the smallest rank, by search.
Ids by_definition(const Vocabulary& v, Ids ids) {
  for (;;) {
    size_t best = v.merges.size(), at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i)
      for (size_t k = 0; k < best; ++k)
        if (v.merges[k].left == ids[i] && v.merges[k].right == ids[i + 1]) best = k, at = i;
    if (best == v.merges.size()) return ids;
    ids[at] = v.merges[best].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

}  // namespace

TEST_CASE("tokenizer: the committed golden cases of a small vocabulary") {
  const Json cases = read_json(std::string(DSLLM_SOURCE_DIR) + "/tests/golden/tokenizer_small_cases.json");
  CHECK(cases.size() == 200);
  for (const Json& c : cases) {
    const std::string text = c["text"];
    CAPTURE(text);
    CHECK(test::small().encode(text) == c["plain_ids"].get<Ids>());
    const Ids ids = test::small().encode(text, {.parse_special = true});
    CHECK(ids == c["ids"].get<Ids>());
    CHECK(test::small().decode(ids) == c["decoded"].get<std::string>());
    CHECK(test::small().decode(ids, {.repair = true}) == text);
  }
}

TEST_CASE("bpe: the merge that was learned first comes first, leftmost among equals") {
  // "abc": b c was learned before a b.
  const Tokenizer first(tiny({{1, 2, 3}, {0, 1, 4}}, {"bc", "ab"}));
  CHECK(first.encode("abc") == Ids{0, 3});
  const Tokenizer second(tiny({{0, 1, 4}, {1, 2, 3}}, {"bc", "ab"}));
  CHECK(second.encode("abc") == Ids{4, 2});
  const Tokenizer runs(tiny({{0, 0, 3}}, {"aa"}));
  CHECK(runs.encode("aaaaa") == Ids{3, 3, 0});
  // In the vocabulary, but no merge leads there: never the encoding.
  const Tokenizer unreachable(tiny({{0, 1, 3}}, {"ab", "abc"}));
  CHECK(unreachable.encode("abc") == Ids{3, 2});
}

TEST_CASE("bpe: short and long pre-tokens of letters are merged as the definition says") {
  // All paths: above 64 bytes the text is seen through a window.
  const Vocabulary& v = test::small().vocabulary();
  const std::string letters = "takerinoselumdoringthequ";
  uint64_t state = 7;
  for (size_t n = 1; n < 300; ++n) {
    std::string text;
    Ids bytes;
    while (text.size() < n) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text += letters[(state >> 33) % letters.size()];
      for (size_t id = 0; id < v.tokens.size(); ++id)
        if (v.tokens[id] == text.substr(text.size() - 1)) bytes.push_back(static_cast<int32_t>(id));
    }
    CAPTURE(text);
    REQUIRE(bytes.size() == n);
    REQUIRE(test::small().encode(text) == by_definition(v, bytes));
  }
}

TEST_CASE("bpe: so they are with merges in any order, over runs of few letters") {
  // Where windows are hardest to join: tokens depend on what is far to the left or right.
  std::mt19937_64 random(2401);
  int longer_than_a_window = 0;
  for (int round = 0; round < 300; ++round) {
    Vocabulary v = tiny({}, {});
    const size_t tokens = 5 + random() % 40;
    const auto pick = [&] {  // half of them recent, so that tokens grow long
      const size_t n = v.tokens.size();
      return static_cast<int32_t>(random() % 2 ? random() % n : n - 1 - random() % 3);
    };
    while (v.tokens.size() < tokens) {
      const int32_t left = pick(), right = pick();
      const std::string result = v.tokens[static_cast<size_t>(left)] + v.tokens[static_cast<size_t>(right)];
      if (std::find(v.tokens.begin(), v.tokens.end(), result) != v.tokens.end() || result.size() > 200)
        continue;
      v.merges.push_back({left, right, static_cast<int32_t>(v.tokens.size())});
      v.tokens.push_back(result);
      longer_than_a_window += result.size() > 64;
    }
    if (round % 2 == 1) std::shuffle(v.merges.begin(), v.merges.end(), random);
    const Tokenizer tokenizer(v);
    const size_t letters = 1 + random() % 3, period = 1 + random() % 9;
    std::string text;
    Ids bytes;
    for (size_t n = 60 + random() % 600; text.size() < n;) {
      const bool repeat = text.size() >= period && random() % 50 != 0;
      text += repeat ? text[text.size() - period] : static_cast<char>('a' + random() % letters);
      bytes.push_back(text.back() - 'a');
    }
    CAPTURE(text);
    REQUIRE(tokenizer.encode(text) == by_definition(v, bytes));
  }
  CHECK(longer_than_a_window > 50);
}

TEST_CASE("bpe: runs whose tokens are longer than a window, behind a prefix that shifts them") {
  // a, aa, aaaa, ... up to 256: what follows decides where a window's tokens end, far to the left.
  Vocabulary v = tiny({}, {});
  int32_t last = 0;
  for (size_t size = 2; size <= 256; size *= 2) {
    const int32_t result = static_cast<int32_t>(v.tokens.size());
    v.merges.push_back({last, last, result});
    v.tokens.push_back(std::string(size, 'a'));
    last = result;
  }
  const Tokenizer tokenizer(v);
  for (const size_t before : {0, 1, 2, 31, 33, 63})
    for (const size_t n : {63, 64, 65, 100, 127, 128, 129, 300, 1000}) {
      Ids bytes(before, 1);
      bytes.resize(before + n, 0);
      bytes.push_back(2);
      CAPTURE(before);
      CAPTURE(n);
      CHECK(tokenizer.encode(std::string(before, 'b') + std::string(n, 'a') + "c") ==
            by_definition(v, bytes));
    }
}

TEST_CASE("bpe: the heap of a wide window forgets pairs that have changed") {
  // 200 times a is one token, so the window grows until it holds the other letters, too.
  std::mt19937_64 random(1508);
  for (int round = 0; round < 50; ++round) {
    Vocabulary v = tiny({}, {});
    for (const auto& [left, right] : std::vector<std::pair<int32_t, int32_t>>{{0, 0},
                                                                              {3, 3},
                                                                              {4, 4},
                                                                              {5, 5},
                                                                              {6, 6},
                                                                              {7, 7},
                                                                              {8, 8},
                                                                              {1, 2},
                                                                              {2, 1},
                                                                              {10, 1},
                                                                              {2, 2},
                                                                              {2, 10},
                                                                              {11, 11},
                                                                              {1, 1}}) {
      v.merges.push_back({left, right, static_cast<int32_t>(v.tokens.size())});
      v.tokens.push_back(v.tokens[static_cast<size_t>(left)] + v.tokens[static_cast<size_t>(right)]);
    }
    std::shuffle(v.merges.begin() + 7, v.merges.end(), random);
    Ids bytes(200, 0);
    std::string text(200, 'a');
    for (int i = 0; i < 40; ++i) {
      bytes.push_back(1 + static_cast<int32_t>(random() % 2));
      text += static_cast<char>('a' + bytes.back());
    }
    CAPTURE(text);
    REQUIRE(Tokenizer(v).encode(text) == by_definition(v, bytes));
  }
}

TEST_CASE("tokenizer: decode(encode(x)) is x for valid UTF-8, NUL bytes included") {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const std::string text = test::mixed_text(seed, seed);
    REQUIRE(test::small().decode(test::small().encode(text)) == text);
  }
  CHECK(test::small().encode("").empty());
  CHECK(test::small().decode(Ids{}) == "");
  CHECK(test::small().decode(test::small().encode(std::string(3, '\0'))) == std::string(3, '\0'));
}

TEST_CASE("tokenizer: ids are appended; the cache of one call changes nothing") {
  const std::string word = "takerinoselum", text = word + " " + word + " " + word + "\n" + word;
  Ids out = {42};
  test::small().encode(text, {}, out);
  Ids expected = {42};
  for (const std::string& part : {word, " " + word, " " + word, std::string("\n"), word})
    for (const int32_t id : test::small().encode(part)) expected.push_back(id);
  CHECK(out == expected);
}

TEST_CASE("tokenizer: many threads encode with one tokenizer") {
  const std::string text = test::mixed_text(3, 20000);
  const Ids expected = test::small().encode(text);
  std::vector<Ids> got(4);
  std::vector<std::thread> workers;
  for (Ids& ids : got) workers.emplace_back([&] { ids = test::small().encode(text); });
  for (std::thread& worker : workers) worker.join();
  for (const Ids& ids : got) CHECK(ids == expected);
}

TEST_CASE("tokenizer: special tokens in text are text unless asked for") {
  const std::string text = "a<｜begin▁of▁sentence｜>b";
  const Ids plain = test::small().encode(text);
  CHECK(std::count(plain.begin(), plain.end(), 0) == 0);
  const Ids parsed = test::small().encode(text, {.parse_special = true});
  CHECK(parsed.size() == 3);
  CHECK(parsed[1] == 0);
  CHECK(test::small().decode(parsed) == text);
  CHECK(test::small().decode(parsed, {.skip_special = true}) == "ab");
  CHECK(test::small().bos() == 0);
  CHECK(test::small().eos() == 1);
  CHECK(test::small().encode("", {.add_bos = true}) == Ids{0});
  CHECK_THROWS_WITH_AS(Tokenizer(tiny({}, {})).encode("a", {.add_bos = true}),
                       "encode: expected a vocabulary with a beginning-of-sentence token, got none",
                       ValueError);
}

TEST_CASE("tokenizer: the ü of the added tokens is decoded as the library does, or repaired") {
  const Ids ids = test::small().encode("Führer");
  CHECK(test::small().decode(ids) == "F\uFFFDhrer");
  CHECK(test::small().decode(ids, {.repair = true}) == "Führer");
}

TEST_CASE("tokenizer: text that is not UTF-8 is an error with its offset, or replaced") {
  CHECK_THROWS_WITH_AS(test::small().encode("ab\xFFz"), "encode: expected valid UTF-8, got 0xFF at offset 2",
                       ValueError);
  CHECK_THROWS_WITH_AS(test::small().encode("中\xE4\xB8", {.text_offset = 100}),
                       "encode: expected valid UTF-8, got 0xE4 at offset 103", ValueError);
  const Ids ids = test::small().encode("ab\xE4\xB8z\xFF", {.invalid_utf8 = InvalidUtf8::replace});
  CHECK(ids == test::small().encode("ab\uFFFDz\uFFFD"));
}

TEST_CASE("tokenizer: a byte that the vocabulary lacks is an error with its offset, or dropped") {
  const Tokenizer abc(tiny({{0, 1, 3}}, {"ab"}));
  CHECK_THROWS_WITH_AS(abc.encode("aabxb"),
                       "encode: expected bytes that the vocabulary has, got 0x78 at offset 3", ValueError);
  CHECK_THROWS_WITH_AS(abc.encode("abc\n", {.text_offset = 7}),
                       "encode: expected bytes that the vocabulary has, got 0x0A at offset 10", ValueError);
  // As in the library, what is left of a pre-token is merged as if the byte had not been there.
  CHECK(abc.encode("axb", {.unknown_byte = UnknownByte::drop}) == Ids{3});
  CHECK(abc.encode("xxx", {.unknown_byte = UnknownByte::drop}).empty());
}

TEST_CASE("tokenizer: ids outside the vocabulary are an error that gives both numbers") {
  CHECK_THROWS_WITH_AS(test::small().decode(Ids{5, 624}), "decode: expected ids in [0, 624), got 624",
                       ValueError);
  CHECK_THROWS_WITH_AS(test::small().decode(Ids{-1}), "decode: expected ids in [0, 624), got -1", ValueError);
}

TEST_CASE("tokenizer: a vocabulary that contradicts itself is refused") {
  CHECK_THROWS_AS(Tokenizer(tiny({{0, 1, 3}}, {})), ValueError);
  CHECK_THROWS_AS(Tokenizer(tiny({{0, -1, 2}}, {})), ValueError);
  CHECK_THROWS_AS(Tokenizer(tiny({{0, 1, 3}, {0, 1, 3}}, {"ab"})), ValueError);
  CHECK_THROWS_AS(Tokenizer(tiny({}, {"a"})), ValueError);
  CHECK_THROWS_AS(Tokenizer(tiny({}, {"\xFF"})), ValueError);
  const auto with = [](AddedToken token) {
    Vocabulary v = tiny({}, {});
    v.added = {std::move(token)};
    return v;
  };
  CHECK_NOTHROW(Tokenizer(with({3, "<s>", true, true})));
  CHECK_NOTHROW(Tokenizer(with({2, "c", true, true})));
  CHECK_THROWS_AS(Tokenizer(with({4, "<s>", true, true})), ValueError);
  CHECK_THROWS_AS(Tokenizer(with({-1, "<s>", true, true})), ValueError);
  CHECK_THROWS_AS(Tokenizer(with({2, "<s>", true, true})), ValueError);
  CHECK_THROWS_AS(Tokenizer(with({3, "", true, true})), ValueError);
}

TEST_CASE("added tokens: leftmost, then longest; those that are not normalized first") {
  Vocabulary v = tiny({}, {});
  v.added = {{3, "ab", false, true}, {4, "abc", false, true}, {5, "ca", false, false}};
  const Tokenizer t(v);
  CHECK(t.encode("abc") == Ids{4});
  CHECK(t.encode("abab") == Ids{3, 3});
  CHECK(t.encode("aab") == Ids{0, 3});
  CHECK(t.encode("abca") == Ids{3, 5});  // "ca" is taken out before "abc" can be seen
}

TEST_CASE("stream decoder: its pieces are the whole text, and none ends in half a character") {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Ids ids = test::small().encode(test::mixed_text(seed, 50));
    if (seed % 2 == 1)  // any order: mostly not valid UTF-8
      for (size_t i = 0; i < ids.size(); ++i) std::swap(ids[i], ids[(i * 7 + seed) % ids.size()]);
    StreamDecoder decoder(test::small());
    std::string text;
    for (const int32_t id : ids) {
      const std::string piece = decoder.push(id);
      REQUIRE(find_invalid_utf8(piece) == piece.size());
      text += piece;
    }
    text += decoder.finish();
    REQUIRE(text == test::small().decode(ids));
    REQUIRE(decoder.finish() == "");
  }
}

TEST_CASE("stream decoder: a character is shown with its last byte, not before and not after") {
  StreamDecoder decoder(test::small());
  const Ids ids = test::small().encode("\u4E80");  // not learned: three bytes
  REQUIRE(ids.size() == 3);
  CHECK(decoder.push(ids[0]) == "");
  CHECK(decoder.push(ids[1]) == "");
  CHECK(decoder.push(ids[2]) == "\u4E80");
  CHECK(decoder.push(ids[0]) == "");
  CHECK(decoder.push(test::small().encode("a")[0]) == "\uFFFDa");
  CHECK(decoder.push(ids[0]) == "");
  CHECK(decoder.finish() == "\uFFFD");
}

TEST_CASE("tokenizer: 50 MB in one line") {
  // Letters without a blank are one pre-token: quadratic merging would take days.
  std::string text;
  while (text.size() < 50'000'000) text += "takerinoselumdor";
  const Ids ids = test::small().encode(text);
  CHECK(test::small().decode(ids) == text);
  // ... and without a newline many.
  std::string words;
  while (words.size() < 5'000'000) words += "take rino 中文 12,";
  CHECK(test::small().decode(test::small().encode(words)) == words);
}
