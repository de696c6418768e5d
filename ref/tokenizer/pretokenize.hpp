// The pre-tokenizer of DeepSeek LLM (paper 2.1): cuts text into the pieces inside which BPE may merge.
//
// Published as five regular expressions, each of which re-splits the pieces of the one before; with their classes
// N newline, L letter, P punctuation, S space, C cjk, D numeric (char_class.hpp):
//   1. [N]    2. S?L+    3. S?P+    4. S+$    5. C+    6. each D alone
// No expression looks far, so the same boundaries follow from a code point c and its neighbors (q before, x and y
// after). There is a boundary before c if
//   N(q) or N(c)                                                              (1)
//   L(c), not L(q), not S(q);   not L(c), L(q);   S(c), L(x)                  (2)
//   P(c), not P(q), not S(q);   not P(c), P(q);
//   S(c), not P(c), P(x), unless S(x) and L(y)                                (3)
// Between two such boundaries the white space at the end is a piece of its own (4), and what remains is split where C
// changes (5) and around every D (6). One pass, constant work for each code point.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ref/tokenizer/char_class.hpp"
#include "ref/tokenizer/unicode.hpp"

namespace dsllm::ref {

// (1), and the rules of (2) and (3) that look at q and c alone. Index: classes of q * 16 + classes of c, of which the
// lowest four bits (newline, letter, punctuation, space) matter.
inline constexpr std::array<bool, 256> boundary_between = [] {
  std::array<bool, 256> table{};
  for (unsigned q = 0; q < 16; ++q) {
    for (unsigned c = 0; c < 16; ++c) {
      const auto turns_on = [q, c](unsigned k) { return (c & k) && !(q & k) && !(q & space); };
      const auto turns_off = [q, c](unsigned k) { return !(c & k) && (q & k); };
      table[q * 16 + c] = ((q | c) & newline) || turns_on(letter) || turns_off(letter) ||
                          turns_on(punctuation) || turns_off(punctuation);
    }
  }
  return table;
}();

// Calls emit(begin, end) with the byte offsets of every piece, in order; their concatenation is the text, no piece is
// empty. text must be valid UTF-8 (find_invalid_utf8).
template <class Emit>
void pretokenize(std::string_view text, Emit&& emit) {
  const CharClasses& classes = char_classes();
  const char* const p = text.data();
  const size_t n = text.size();
  const auto read = [&](size_t i, uint32_t& length) -> unsigned {
    const CodePoint c = decode_valid_utf8(p + i);
    length = c.length;
    return classes(c.value);
  };
  const auto classes_at = [&](size_t i) -> unsigned {
    return i < n ? classes(decode_valid_utf8(p + i).value) : 0;
  };
  const auto is_ascii_letter = [p](size_t i) { return static_cast<unsigned char>((p[i] | 0x20) - 'a') < 26; };

  // (5) and (6) on a piece that needs them.
  const auto split_classes = [&](size_t begin, size_t end) {
    size_t start = begin;
    unsigned q = 0;
    for (size_t i = begin; i < end;) {
      uint32_t length;
      const unsigned c = read(i, length);
      if (i > start && (((q ^ c) & cjk) || ((q | c) & numeric))) {
        emit(start, i);
        start = i;
      }
      q = c;
      i += length;
    }
    if (start < end) emit(start, end);
  };

  size_t start = 0;       // of the piece between boundaries of (1) to (3)
  size_t space_from = 0;  // where its white space at the end begins; the position itself if there is none
  unsigned any = 0, all = ~0u, q = 0;
  const auto finish = [&](size_t end) {
    if ((any & numeric) || ((any ^ all) & cjk)) {
      split_classes(start, space_from);
      split_classes(space_from, end);
    } else {
      if (space_from > start) emit(start, space_from);
      if (end > space_from) emit(space_from, end);
    }
  };

  for (size_t i = 0; i < n;) {
    uint32_t length;
    const unsigned c = read(i, length);
    if (i > start) {
      bool boundary = boundary_between[(q & 15) * 16 + (c & 15)];
      if (!boundary && (c & space)) {
        const unsigned x = classes_at(i + length);
        if (x & letter) {
          boundary = true;
        } else if ((x & punctuation) && !(c & punctuation)) {
          // x begins at i + length; y comes after it.
          boundary =
              !(x & space) || !(classes_at(i + length + decode_valid_utf8(p + i + length).length) & letter);
        }
      }
      if (boundary) {
        finish(i);
        start = space_from = i;
        any = 0;
        all = ~0u;
      }
    }
    any |= c;
    all &= c;
    q = c;
    i += length;
    if (!(c & space)) {
      // After an ASCII letter another one changes nothing but the position.
      if ((c & letter) && length == 1)
        while (i < n && is_ascii_letter(i)) ++i;
      space_from = i;
    }
  }
  if (start < n) finish(n);
}

// The pieces themselves, as views into text.
std::vector<std::string_view> pretokenize(std::string_view text);

// The regular expressions of steps 1 to 5 as tokenizer.json spells them, and the step's name there.
const std::array<std::string, 5>& pretokenizer_patterns();

}  // namespace dsllm::ref
