// Tokens outside the merges, which are looked for in raw text before the pre-tokenizer sees it: special ones
// (beginning of sentence, ...), and in DeepSeek LLM's vocabulary the 13 characters that spell bytes which UTF-8 never
// uses.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dsllm::ref {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;
  // "Matched after the normalizer". There is no normalizer here, but the library still looks for the tokens without
  // this mark first, and for those with it in what remains.
  bool normalized = true;
};

// Finds one group of tokens in a text: leftmost, then longest.
class TokenMatcher {
 public:
  TokenMatcher() = default;
  // tokens: indices into all. Contents must not be empty.
  TokenMatcher(const std::vector<AddedToken>& all, const std::vector<size_t>& tokens);

  static constexpr size_t none = static_cast<size_t>(-1);
  struct Match {
    size_t begin, end;
    size_t token;  // its index; none if nothing was found
  };
  Match find(std::string_view text, size_t from) const;
  bool empty() const { return by_lead_.empty(); }

 private:
  struct Candidate {
    std::string content;
    size_t token;
  };
  std::vector<std::vector<Candidate>>
      by_lead_;  // [first byte], longest first; empty if there are no tokens at all
};

}  // namespace dsllm::ref
