#include "ref/tokenizer/train.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/tokenizer/byte_level.hpp"
#include "ref/tokenizer/pretoken_counts.hpp"
#include "ref/tokenizer/pretokenize.hpp"
#include "ref/tokenizer/tokenizer_json.hpp"
#include "tests/tokenizer/shared_data.hpp"
#include "tests/tokenizer/small.hpp"

using namespace dsllm;
using namespace dsllm::ref;

TEST_CASE("train: every merge and id that the library learns from the King James Bible") {
  const auto expected_path = test::shared_data("tokenizer/hf_train_kjv.json");
  const auto text = test::king_james_bible();
  if (!expected_path || !text) return;
  const std::string_view view = *text;
  const Tokenizer expected = read_tokenizer_json(*expected_path);
  const Vocabulary learned = train_bpe({&view, 1}, {.vocab_size = 100000});
  CHECK(learned.tokens == expected.vocabulary().tokens);
  REQUIRE(learned.merges.size() == expected.vocabulary().merges.size());
  CHECK(learned.merges.size() == 24537);
  for (size_t k = 0; k < learned.merges.size(); ++k) {
    const Merge a = learned.merges[k], b = expected.vocabulary().merges[k];
    CAPTURE(k);
    REQUIRE(learned.tokens[static_cast<size_t>(a.left)] == learned.tokens[static_cast<size_t>(b.left)]);
    REQUIRE(learned.tokens[static_cast<size_t>(a.right)] == learned.tokens[static_cast<size_t>(b.right)]);
    REQUIRE(a.result == b.result);
  }
}

namespace {

Vocabulary train_on(const std::string& text, const TrainOptions& options) {
  const std::string_view view = text;
  return train_bpe({&view, 1}, options);
}

// By definition: count every pair of every pre-token anew, merge the most frequent one, and so on.
std::vector<std::pair<std::string, std::string>> by_definition(const std::string& text, TieBreak ties,
                                                               size_t merges) {
  std::vector<std::vector<std::string>> words;
  std::map<std::string, int64_t> order;  // of tokens: their ids
  for (const std::string_view piece : pretokenize(text)) {
    words.emplace_back();
    for (const char b : piece) words.back().push_back(std::string(1, b));
  }
  std::vector<std::string> alphabet;
  for (const auto& word : words) alphabet.insert(alphabet.end(), word.begin(), word.end());
  std::sort(alphabet.begin(), alphabet.end(), [](const std::string& a, const std::string& b) {
    return byte_to_char(static_cast<uint8_t>(a[0])) < byte_to_char(static_cast<uint8_t>(b[0]));
  });
  for (const std::string& b : alphabet) order.emplace(b, static_cast<int64_t>(order.size()));
  std::vector<std::pair<std::string, std::string>> out;
  while (out.size() < merges) {
    std::map<std::pair<std::string, std::string>, int64_t> counts;
    for (const auto& word : words)
      for (size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
    if (counts.empty()) break;
    const auto best = std::max_element(counts.begin(), counts.end(), [&](const auto& a, const auto& b) {
      if (a.second != b.second) return a.second < b.second;
      if (ties == TieBreak::greater_bytes) return a.first < b.first;
      return std::pair(order[a.first.first], order[a.first.second]) >
             std::pair(order[b.first.first], order[b.first.second]);
    });
    const auto pair = best->first;
    out.push_back(pair);
    order.emplace(pair.first + pair.second, static_cast<int64_t>(order.size()));
    for (auto& word : words)
      for (size_t i = 0; i + 1 < word.size(); ++i)
        if (word[i] == pair.first && word[i + 1] == pair.second) {
          word[i] += word[i + 1];
          word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
  }
  return out;
}

}  // namespace

TEST_CASE("train: the merges are those of the definition, for both ways to break ties") {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    std::string text = test::mixed_text(seed, 100 + 5 * seed);
    for (int i = 0; i < 20; ++i)
      text += std::string(1 + (seed * 7 + static_cast<uint64_t>(i)) % 13, 'a') + "bab ";
    for (const TieBreak ties : {TieBreak::smaller_ids, TieBreak::greater_bytes}) {
      const Vocabulary v = train_on(text, {.vocab_size = 300, .ties = ties});
      std::vector<std::pair<std::string, std::string>> got;
      for (const Merge& m : v.merges)
        got.emplace_back(*unspell_bytes(v.tokens[static_cast<size_t>(m.left)]),
                         *unspell_bytes(v.tokens[static_cast<size_t>(m.right)]));
      CAPTURE(seed);
      REQUIRE(got.size() > 20);
      REQUIRE(got == by_definition(text, ties, got.size()));
    }
  }
}

TEST_CASE("train: one result for any number of threads") {
  std::string text;  // several parts of 1 MiB
  while (text.size() < (size_t{5} << 20)) text += test::mixed_text(text.size(), 20000);
  std::vector<std::string> results;
  for (const int n : {1, 2, 5}) {
    set_threads(n);
    results.push_back(format_tokenizer_json(train_on(text, {.vocab_size = 2000})));
  }
  set_threads(0);
  CHECK(results[1] == results[0]);
  CHECK(results[2] == results[0]);
}

TEST_CASE("train: a long text is cut behind newlines only, and its parts are added") {
  // Counted in parts of about 1 MiB.
  const std::string line(size_t{3} << 20, 'a'), short_lines = [] {
    std::string text;
    while (text.size() < (size_t{3} << 20)) text += "bc\n";
    return text;
  }();
  const std::vector<std::string_view> texts = {line, short_lines};
  const std::vector<PretokenCount> counts = count_pretokens(texts);
  const int64_t lines = static_cast<int64_t>(short_lines.size() / 3);
  REQUIRE(counts.size() == 3);
  CHECK(counts[0].pretoken == line);
  CHECK(counts[0].count == 1);
  CHECK(counts[1].pretoken == "bc");
  CHECK(counts[1].count == lines);
  CHECK(counts[2].pretoken == "\n");
  CHECK(counts[2].count == lines);
}

TEST_CASE("train: the counts of several texts are added, and their ends are ends") {
  const std::vector<std::string_view> texts = {"ab", "ab", "ab cd"};
  const Vocabulary v = train_bpe(texts, {.vocab_size = 100});
  CHECK(v.tokens == std::vector<std::string>{"a", "b", "c", "d", "Ġ", "ab", "cd", "Ġcd"});
  int calls = 0;
  train_bpe(texts, {.vocab_size = 100,
                    .progress = [&](const TrainProgress& p) { calls += p.tokens == 6 && p.count == 3; }});
  CHECK(calls == 1);
}

TEST_CASE("train: special tokens come first and learn nothing; a minimum frequency; all bytes") {
  const Vocabulary v =
      train_on("<s>ab ab ab xy", {.vocab_size = 100, .min_frequency = 2, .special_tokens = {"<s>", "ab"}});
  CHECK(v.tokens[0] == "<s>");
  CHECK(v.tokens[1] == "ab");
  REQUIRE(v.added.size() == 2);
  CHECK(v.added[0].special);
  // a b: its string is known and keeps its id.
  REQUIRE(v.merges.size() == 2);
  CHECK(v.merges[0].result == 1);
  CHECK(v.tokens.back() == "Ġab");
  const Tokenizer t(v);
  CHECK(t.encode("<s>", {.parse_special = true}) == std::vector<int32_t>{0});
  CHECK(t.decode(t.encode("<s>ab")) == "<s>ab");

  const Vocabulary all = train_on("ab", {.vocab_size = 244, .all_bytes = true});
  CHECK(all.tokens.size() == 244);
  CHECK(all.tokens[0] == "!");
  CHECK(all.tokens[15] == "0");
  CHECK(all.tokens[207] == "Ġ");
  CHECK(all.tokens[243] == "ab");
  CHECK(Tokenizer(all).decode(Tokenizer(all).encode("中文 é\n")) == "中文 é\n");
}

TEST_CASE(
    "train: nothing to learn from, too small a vocabulary, text that is not UTF-8, special tokens twice") {
  CHECK(train_on("", {.vocab_size = 10}).tokens.empty());
  CHECK(train_on("a a a", {.vocab_size = 10, .min_frequency = 3}).merges.empty());
  CHECK(train_on("ab", {.vocab_size = 2}).merges.empty());
  CHECK_THROWS_WITH_AS(train_on("ab", {.vocab_size = 2, .special_tokens = {"<s>"}}),
                       "train_bpe: expected a vocab_size of at least 3 (special tokens and alphabet), got 2",
                       ValueError);
  CHECK_THROWS_WITH_AS(train_on("ab\xFF", {.vocab_size = 10}),
                       "train_bpe: expected valid UTF-8, got 0xFF at offset 2 of text 0", ValueError);
  CHECK_THROWS_AS(train_on("ab", {.vocab_size = 10, .special_tokens = {"<s>", "<s>"}}), ValueError);
  CHECK_THROWS_AS(train_on("ab", {.vocab_size = INT64_MAX}), ValueError);
}
