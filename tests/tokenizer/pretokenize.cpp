#include "ref/tokenizer/pretokenize.hpp"

#include <doctest/doctest.h>

#include <random>
#include <utility>

using namespace dsllm::ref;

namespace {

// The pieces with bars between them.
std::string cut(const std::string& text) {
  std::string out;
  for (const std::string_view piece : pretokenize(text)) {
    if (!out.empty()) out += '|';
    out += piece;
  }
  return out;
}

// The five expressions and the split of digits, step by step as they are published, by simple search: slow, but with
// nothing in common with the rules of pretokenize.hpp.
std::vector<std::u32string> by_the_book(const std::u32string& text) {
  using Pieces = std::vector<std::u32string>;
  const auto is = [](char32_t c, unsigned flags) { return (char_classes()(c) & flags) != 0; };
  // Cuts every piece at the matches; match(piece, i) is the length of the match at i, 0 for none.
  const auto isolate = [](const Pieces& pieces, auto match) {
    Pieces out;
    for (const std::u32string& piece : pieces) {
      std::u32string rest;
      for (size_t i = 0; i < piece.size();) {
        const size_t length = match(piece, i);
        if (length == 0) {
          rest += piece[i++];
          continue;
        }
        if (!rest.empty()) out.push_back(std::exchange(rest, {}));
        out.push_back(piece.substr(i, length));
        i += length;
      }
      if (!rest.empty()) out.push_back(rest);
    }
    return out;
  };
  const auto run = [is](const std::u32string& s, size_t i, unsigned flags) {
    size_t end = i;
    while (end < s.size() && is(s[end], flags)) ++end;
    return end - i;
  };
  // \s?[K]+ : the optional blank is tried first, then the run without it.
  const auto blank_and_run = [&](unsigned flags) {
    return [=](const std::u32string& s, size_t i) -> size_t {
      if (is(s[i], space) && run(s, i + 1, flags) > 0) return 1 + run(s, i + 1, flags);
      return run(s, i, flags);
    };
  };
  Pieces pieces = {text};
  pieces = isolate(pieces, [is](const std::u32string& s, size_t i) -> size_t { return is(s[i], newline); });
  pieces = isolate(pieces, blank_and_run(letter));
  pieces = isolate(pieces, blank_and_run(punctuation));
  pieces = isolate(pieces, [run](const std::u32string& s, size_t i) {
    const size_t n = run(s, i, space);
    return i + n == s.size() ? n : 0;
  });
  pieces = isolate(pieces, [run](const std::u32string& s, size_t i) { return run(s, i, cjk); });
  return isolate(pieces, [is](const std::u32string& s, size_t i) -> size_t { return is(s[i], numeric); });
}

}  // namespace

TEST_CASE("pretokenize: what the paper's tokenizer is known for") {
  CHECK(cut("Hello, world! 2024") == "Hello|,| world|!| |2|0|2|4");
  CHECK(cut("café") == "caf|é");
  CHECK(cut("hello\u201D.") == "hello|\u201D|.");
  CHECK(cut("\tfoo  bar") == "\tfoo| | bar");
  CHECK(cut("a \n\n b") == "a| |\n|\n| b");
  CHECK(cut("a  \r\n") == "a|  |\r|\n");
  CHECK(cut("春眠不觉晓，处处闻啼鸟。") == "春眠不觉晓|，|处处闻啼鸟|。");
  CHECK(cut("我有2个apple") == "我有|2|个|apple");
  CHECK(cut("½٣①") == "½|٣|①");
  CHECK(cut("") == "");
}

TEST_CASE("pretokenize: the local rules are the published expressions, on random strings") {
  // Few enough different code points that every neighborhood of four occurs: each combination of classes once or twice.
  const std::u32string alphabet = U"a~\n \u2003\u3000\u3001中é5①\u1E00\u00A0\u0601";
  std::mt19937_64 random(2401);
  for (int round = 0; round < 200000; ++round) {
    std::u32string text;
    for (size_t n = random() % 10; n > 0; --n) text += alphabet[random() % alphabet.size()];
    std::string encoded, expected, got;
    for (const char32_t c : text) append_utf8(c, encoded);
    for (const std::u32string& piece : by_the_book(text)) {
      for (const char32_t c : piece) append_utf8(c, expected);
      expected += '|';
    }
    for (const std::string_view piece : pretokenize(encoded)) got += std::string(piece) + '|';
    CAPTURE(encoded);
    REQUIRE(got == expected);
  }
}

TEST_CASE("pretokenize: the pieces are the text, however long a run is") {
  // Alternating kinds of white space are where a rule that looks back could turn quadratic: 4 MB would take hours.
  for (const std::string unit : {"a", " ", " \u2003", "5", "中", "\u3000 ", "\n", " \u3001"}) {
    std::string text;
    while (text.size() < 4'000'000) text += unit;
    size_t end = 0;
    bool contiguous = true;
    pretokenize(text, [&](size_t b, size_t e) {
      contiguous = contiguous && b == end && e > b;
      end = e;
    });
    CHECK(contiguous);
    CHECK(end == text.size());
  }
}
