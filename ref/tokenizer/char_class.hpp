// The six classes of code points that the pre-tokenizer of DeepSeek LLM asks for, in one byte each.
//
// A code point can be in several classes: A-Z are letters and, since the punctuation class holds the range 3A-7E,
// punctuation too; U+3000 is space, punctuation and cjk.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace dsllm::ref {

enum CharClass : uint8_t {
  newline = 1,      // \r and \n
  letter = 2,       // the cased letters of the Latin, Greek, Cyrillic, ... scripts that the pattern lists
  punctuation = 4,  // 21-2F, 3A-7E, FF01-FF0F, FF1A-FF5E, 2018-201F, 3000-3002
  space = 8,        // Unicode White_Space; the controls 1C-1F are not in it
  cjk = 16,         // 0800-9FA5 and AC00-D7FF: Chinese, kana, Hangul, and all else that lies there
  numeric = 32,     // Unicode Nd, Nl, No
};

struct CodeRange {
  char32_t first, last;
};

// The letters in the order in which the published tokenizer.json lists them.
extern const std::array<CodeRange, 87> letter_ranges;

// A two-level table: 256 code points a block, equal blocks stored once.
class CharClasses {
 public:
  CharClasses();
  uint8_t operator()(char32_t c) const { return blocks_[index_[c >> 8]][c & 0xFF]; }

 private:
  std::vector<std::array<uint8_t, 256>> blocks_;
  std::array<uint8_t, 0x1100> index_;
};

// The table, built on the first call.
const CharClasses& char_classes();

}  // namespace dsllm::ref
