// The byte-level BPE tokenizer of DeepSeek LLM (paper 2.1): text to ids and back.
//
// Reading and writing files: tokenizer_json.hpp. Learning a vocabulary: train.hpp. Printing while ids arrive:
// stream_decoder.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ref/tokenizer/added_tokens.hpp"
#include "ref/tokenizer/bpe.hpp"
#include "ref/tokenizer/whole_tokens.hpp"

namespace dsllm::ref {

// Everything that a tokenizer.json says and that differs from one tokenizer of this kind to the next.
struct Vocabulary {
  std::vector<std::string> tokens;  // [id], spelled in the characters of byte_level.hpp
  std::vector<Merge> merges;        // in the order in which they were learned
  // Ids are either those of `tokens` with the same spelling, or tokens.size(), tokens.size() + 1, ... in this order.
  std::vector<AddedToken> added;
};

enum class InvalidUtf8 {
  error,    // ValueError that names the byte and its offset
  replace,  // U+FFFD for every invalid sequence, as append_repaired_utf8
};
enum class UnknownByte {
  error,  // ValueError that names the byte and its offset
  drop,   // left out without a word, as the `tokenizers` library does
};

struct EncodeOptions {
  bool add_bos = false;        // the beginning-of-sentence id in front; ValueError if there is none
  bool parse_special = false;  // false: the spelling of a special token in the text is text
  InvalidUtf8 invalid_utf8 = InvalidUtf8::error;
  UnknownByte unknown_byte = UnknownByte::error;  // of a vocabulary that was learned without all bytes
  uint64_t text_offset = 0;  // where the text stands in a larger one: added to the offsets in messages
};

struct DecodeOptions {
  // false: as the `tokenizers` library, which reads the spelling of an added token as bytes, so that the token ü of
  // DeepSeek's vocabulary becomes the byte FC and its text comes back as U+FFFD. true: as the characters it matched.
  bool repair = false;
  bool skip_special = false;  // leave special tokens out (the library's own default)
};

class Tokenizer {
 public:
  // Throws ValueError if ids, merges or added tokens contradict each other.
  explicit Tokenizer(Vocabulary vocabulary);

  // Appends the ids of text to out. Safe to call from many threads at once. Time O(n log n), n = text.size(); memory
  // beyond out is small, and a copy of the text if it must be repaired.
  void encode(std::string_view text, const EncodeOptions& options, std::vector<int32_t>& out) const;
  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;

  // The text of ids, always valid UTF-8: bytes that are not become U+FFFD. decode(encode(x)) == x for valid UTF-8
  // without added tokens, and with them under `repair`. Throws ValueError for an id outside [0, size()).
  std::string decode(std::span<const int32_t> ids, const DecodeOptions& options = {}) const;

  // The bytes that one id stands for, which need not be whole characters. Throws as decode().
  std::string_view bytes(int32_t id, const DecodeOptions& options = {}) const;

  // How many ids there are: those of the vocabulary and of added tokens. A model's embedding may have more rows
  // (102,400 against 100,015).
  int32_t size() const { return static_cast<int32_t>(bytes_.size()); }

  // Begin and end of a text, known by their spelling: <｜begin▁of▁sentence｜>, <s>, <|begin_of_text|>,
  // <|endoftext|>; <｜end▁of▁sentence｜>, </s>, <|end_of_text|>, <|endoftext|>; the first of them that is there.
  std::optional<int32_t> bos() const { return bos_; }
  std::optional<int32_t> eos() const { return eos_; }

  // The id of the added token with this content.
  std::optional<int32_t> added_id(const std::string& content) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  class Run;  // one call of encode()

  void check_id(const char* operation, int32_t id) const;

  Vocabulary vocabulary_;
  std::unique_ptr<const Bpe> bpe_;
  std::unique_ptr<const WholeTokens> whole_;  // the tokens whose own bytes merge into them
  TokenMatcher first_, second_;               // added tokens without and with AddedToken::normalized
  std::vector<std::string> bytes_;            // [id]
  std::vector<int32_t> added_of_;             // [id]: index of the added token, or -1
  std::unordered_map<std::string, int32_t> added_ids_;
  std::optional<int32_t> bos_, eos_;
};

}  // namespace dsllm::ref
