// Any bytes: the pieces are the text, whole characters each, and the same where the text is cut at newlines.
#include <algorithm>
#include <cstdlib>

#include "ref/tokenizer/pretokenize.hpp"

using namespace dsllm::ref;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text;
  append_repaired_utf8({reinterpret_cast<const char*>(data), size}, text);
  if (find_invalid_utf8(text) != text.size()) std::abort();

  const std::vector<std::string_view> pieces = pretokenize(text);
  size_t end = 0;
  for (const std::string_view piece : pieces) {
    if (piece.empty() || piece.data() != text.data() + end) std::abort();
    if (find_invalid_utf8(piece) != piece.size()) std::abort();
    end += piece.size();
  }
  if (end != text.size()) std::abort();

  size_t next = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t newline = std::min(text.find('\n', begin), text.size() - 1);
    for (const std::string_view piece :
         pretokenize(std::string_view(text).substr(begin, newline + 1 - begin)))
      if (next == pieces.size() || pieces[next++] != piece) std::abort();
    begin = newline + 1;
  }
  if (next != pieces.size()) std::abort();
  return 0;
}
