// Learning a byte-level BPE vocabulary (paper 2.1; Sennrich et al. 2016, arXiv 1508.07909).
//
// The rule is that of the `tokenizers` library, merge by merge: count the pre-tokens of the text; the alphabet are the
// bytes that occur; then, again and again, the adjacent pair with the highest count becomes one token everywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ref/tokenizer/tokenizer.hpp"

namespace dsllm::ref {

// Which of several pairs with the same count is merged first.
enum class TieBreak {
  smaller_ids,    // the smaller (left id, right id), as the library
  greater_bytes,  // the lexicographically greater (left bytes, right bytes), as some courses teach it
};

struct TrainProgress {
  int64_t tokens, vocab_size;  // in the vocabulary so far, and at most
  int64_t count;               // of the pair that was merged last
};

struct TrainOptions {
  int64_t vocab_size = 0;     // special tokens, alphabet and merges together; fewer if no pair is left
  int64_t min_frequency = 0;  // pairs that are rarer are not merged
  // Ids 0, 1, ... in this order, in front of the alphabet, as the library's trainer gives them. They take no part in
  // learning: their spelling in the text is text.
  std::vector<std::string> special_tokens = {};
  // Begin with all 243 bytes that valid UTF-8 can hold (as DeepSeek LLM's own vocabulary does) rather than with those
  // that occur, so that any text can be encoded.
  bool all_bytes = false;
  TieBreak ties = TieBreak::smaller_ids;
  std::function<void(const TrainProgress&)> progress = {};  // called after every merge
};

// texts are counted as if they stood in files of their own. The result does not depend on the number of threads.
// Time O(text + merges * length of the pre-tokens that hold the pair). Throws ValueError for text that is not UTF-8
// (with its number and the offset) and for a vocab_size below alphabet and special tokens.
Vocabulary train_bpe(std::span<const std::string_view> texts, const TrainOptions& options);

}  // namespace dsllm::ref
