// Text from ids that arrive one at a time, without ever showing half a character.
#pragma once

#include <cstdint>
#include <string>

#include "ref/tokenizer/tokenizer.hpp"

namespace dsllm::ref {

// The concatenation of what push() and finish() return is tokenizer.decode() of all ids. The tokenizer must outlive
// the decoder.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, const DecodeOptions& options = {})
      : tokenizer_(tokenizer), options_(options) {}

  // The characters that are complete with this id; bytes that begin a character wait (three at most). Bytes that
  // cannot become one turn into U+FFFD at once. Throws as Tokenizer::decode.
  std::string push(int32_t id);

  // What waits, as U+FFFD. The decoder can then be used again.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  DecodeOptions options_;
  std::string waiting_;
};

}  // namespace dsllm::ref
