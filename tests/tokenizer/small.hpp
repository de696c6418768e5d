// The small vocabulary of tests/golden (624 ids: two special tokens in front, four added ones behind).
#pragma once

#include <string>

#include "ref/tokenizer/tokenizer_json.hpp"
#include "ref/tokenizer/unicode.hpp"

namespace dsllm::test {

inline std::string small_path() {
  return std::string(DSLLM_SOURCE_DIR) + "/tests/golden/tokenizer_small.json";
}

inline const ref::Tokenizer& small() {
  static const ref::Tokenizer tokenizer = ref::read_tokenizer_json(small_path());
  return tokenizer;
}

// Text of characters of all classes, seeded: words, blanks, digits, Chinese, emoji, controls, NUL.
inline std::string mixed_text(uint64_t seed, size_t characters) {
  const std::u32string alphabet =
      U"etaoin  \n\t.,;09中文字句。，é½\u2003\u3000😀\U0001F600" + std::u32string(1, U'\0');
  std::string text;
  for (uint64_t state = seed * 2654435761u + 1; characters > 0; --characters) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    ref::append_utf8(alphabet[(state >> 33) % alphabet.size()], text);
  }
  return text;
}

}  // namespace dsllm::test
