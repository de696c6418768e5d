// The tokenizer.json of the Hugging Face `tokenizers` library.
//
// Supported is what DeepSeek LLM publishes: a BPE model over byte-level characters, the pre-tokenizer of
// pretokenize.hpp, no normalizer, a ByteLevel decoder, no post-processor that adds tokens. Anything else is an error,
// since ids would silently differ.
#pragma once

#include <string>
#include <string_view>

#include "ref/tokenizer/tokenizer.hpp"

namespace dsllm::ref {

// Throws FileError with the place in the file ("model.merges[17]") for broken JSON, duplicate ids, ids that leave gaps,
// merges whose parts or result are unknown, and types or options that are not supported. path is for messages.
Tokenizer parse_tokenizer_json(std::string_view text, const std::string& path);
Tokenizer read_tokenizer_json(const std::string& path);

// A file that the library and read_tokenizer_json() load, with the same ids.
std::string format_tokenizer_json(const Vocabulary& vocabulary);
void write_tokenizer_json(const Vocabulary& vocabulary, const std::string& path);

}  // namespace dsllm::ref
