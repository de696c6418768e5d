// How often every pre-token stands in a text: what the trainer learns from.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace dsllm::ref {

struct PretokenCount {
  std::string_view pretoken;  // into the text
  int64_t count;
};

// Distinct pre-tokens in the order in which they first occur. texts must be valid UTF-8. The texts are cut at newlines
// (which are pre-tokens of their own) and counted by all threads; the result does not depend on how many there are.
std::vector<PretokenCount> count_pretokens(std::span<const std::string_view> texts);

}  // namespace dsllm::ref
