// Any file: an error that names the place, or a tokenizer that writes itself back and whose ids mean its text.
#include <cstdlib>

#include "ref/core/error.hpp"
#include "ref/tokenizer/tokenizer_json.hpp"
#include "ref/tokenizer/unicode.hpp"

using namespace dsllm::ref;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  try {
    const Tokenizer tokenizer = parse_tokenizer_json(file, "fuzz");
    const std::string written = format_tokenizer_json(tokenizer.vocabulary());
    const Tokenizer back = parse_tokenizer_json(written, "written");
    if (format_tokenizer_json(back.vocabulary()) != written) std::abort();

    // The file itself as text.
    std::string text;
    append_repaired_utf8(file, text);
    EncodeOptions options;
    options.parse_special = true;
    options.unknown_byte = UnknownByte::drop;
    const std::vector<int32_t> ids = tokenizer.encode(text, options);
    if (back.encode(text, options) != ids) std::abort();
    options.unknown_byte = UnknownByte::error;
    try {
      const std::vector<int32_t> all = tokenizer.encode(text, options);
      if (all != ids || tokenizer.decode(all, {.repair = true}) != text) std::abort();
    } catch (const dsllm::ValueError&) {  // a byte that the vocabulary lacks
    }
  } catch (const dsllm::FileError&) {
  }
  return 0;
}
