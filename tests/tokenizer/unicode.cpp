#include "ref/tokenizer/unicode.hpp"

#include <doctest/doctest.h>

#include "ref/tokenizer/byte_level.hpp"
#include "ref/tokenizer/char_class.hpp"

using namespace dsllm::ref;

TEST_CASE("unicode: every code point is written, read back and found valid") {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(c, text);
    const CodePoint back = decode_valid_utf8(text.data());
    REQUIRE(back.value == c);
    REQUIRE(back.length == text.size());
    REQUIRE(find_invalid_utf8(text) == text.size());
  }
}

TEST_CASE("unicode: overlong forms, surrogates, values past U+10FFFF and stray bytes are invalid") {
  for (const std::string bad : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
                                "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
                                "\xFF", "\xC3", "\xE4\xB8", "\xF0\x9F\x98", "\xE4\xB8\x41", "\xC3\xC3"}) {
    // At every place of the eight bytes that are looked at together.
    for (size_t before = 0; before <= 17; ++before)
      CHECK(find_invalid_utf8(std::string(before, 'a') + bad + "aaaaaaaaa") == before);
    CHECK(find_invalid_utf8("\xE4\xB8\xAD" + bad) == 3);
  }
}

TEST_CASE("unicode: the longest part that could have become a character is replaced as one") {
  const auto repaired = [](std::string_view text) {
    std::string out;
    append_repaired_utf8(text, out);
    return out;
  };
  const std::string r = "\uFFFD";
  CHECK(repaired("a\xE4\xB8z") == "a" + r + "z");
  CHECK(repaired("\xE4\xB8") == r);
  CHECK(repaired("\xF0\x9F\x98\xF0\x9F\x98\x80") == r + "\xF0\x9F\x98\x80");
  CHECK(repaired("\xC0\x80") == r + r);
  CHECK(repaired("\xED\xA0\x80") == r + r + r);
  CHECK(repaired("\xF4\x90\x80\x80z") == r + r + r + r + "z");
  CHECK(repaired("") == "");
}

TEST_CASE("byte level: the 256 characters are distinct and known ones stand where GPT-2 has them") {
  std::string all;
  for (int b = 0; b < 256; ++b) all.push_back(static_cast<char>(b));
  const std::string spelled = spell_bytes(all);
  CHECK(unspell_bytes(spelled) == all);
  CHECK(spell_bytes("\n a~\x7F\xAD\xFC") == "ĊĠa~ġŃü");
  CHECK(!unspell_bytes("｜").has_value());
  CHECK(!unspell_bytes(" ").has_value());
  int in_utf8 = 0;
  for (int b = 0; b < 256; ++b) in_utf8 += occurs_in_utf8(static_cast<uint8_t>(b));
  CHECK(in_utf8 == 243);
}

TEST_CASE("character classes: sizes, and the code points where they meet") {
  const CharClasses& classes = char_classes();
  int letters = 0, numerics = 0, spaces = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    letters += (classes(c) & letter) != 0;
    numerics += (classes(c) & numeric) != 0;
    spaces += (classes(c) & space) != 0;
  }
  CHECK(letters == 2729);
  CHECK(numerics == 1924);  // Unicode 17
  CHECK(spaces == 25);
  CHECK(classes('a') == (letter | punctuation));
  CHECK(classes('\n') == (newline | space));
  CHECK(classes('~') == punctuation);
  CHECK(classes(0x1C) == 0);
  CHECK(classes(0x3000) == (space | punctuation | cjk));
  CHECK(classes(0xBD) == numeric);            // ½
  CHECK(classes(0x663) == numeric);           // ٣
  CHECK(classes(0x2460) == (numeric | cjk));  // ①
  CHECK(classes(0x9FA5) == cjk);
  CHECK(classes(0x9FA6) == 0);
  CHECK(classes(0xD7FF) == cjk);
  CHECK(classes(0x1E00) == (letter | cjk));
}
