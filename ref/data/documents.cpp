// Text into documents, documents into blocks, blocks into two parts.
#include <algorithm>
#include <cmath>

#include "ref/core/philox.hpp"
#include "ref/data/loader.hpp"
#include "ref/data/pack.hpp"

namespace dsllm {

void for_each_document(std::string_view text, std::string_view separator,
                       const std::function<void(std::string_view)>& f) {
  const auto emit = [&](size_t begin, size_t end) {
    if (end > begin) f(text.substr(begin, end - begin));
  };
  if (separator.empty()) return emit(0, text.size());
  size_t begin = 0;
  for (size_t line = 0; line < text.size();) {
    const size_t newline = text.find('\n', line);
    const size_t next = newline == std::string_view::npos ? text.size() : newline + 1;
    std::string_view content = text.substr(line, std::min(newline, text.size()) - line);
    if (!content.empty() && content.back() == '\r') content.remove_suffix(1);
    if (content == separator) {
      emit(begin, line);
      begin = next;
    }
    line = next;
  }
  emit(begin, text.size());
}

std::vector<std::string_view> cut_into_blocks(std::string_view document, int64_t block_bytes) {
  const size_t size = static_cast<size_t>(block_bytes);
  std::vector<std::string_view> blocks;
  while (document.size() > size) {
    // The first line break at or after the block's last byte, at most another block away.
    const size_t newline = document.substr(0, 2 * size).find('\n', size - 1);
    size_t end = newline == std::string_view::npos ? std::min(2 * size, document.size()) : newline + 1;
    if (newline == std::string_view::npos && end < document.size()) {
      // Not before a continuation byte (10xxxxxx); a character has at most three of them.
      const auto continues = [&](size_t i) {
        return (static_cast<unsigned char>(document[i]) & 0xc0) == 0x80;
      };
      for (int i = 0; i < 3 && end < document.size() && continues(end); ++i) ++end;
    }
    blocks.push_back(document.substr(0, end));
    document.remove_prefix(end);
  }
  if (!document.empty()) blocks.push_back(document);
  return blocks;
}

bool is_held_out(int64_t index, double heldout, uint64_t seed) {
  if (heldout <= 0) return false;
  const uint64_t group_size = static_cast<uint64_t>(std::llround(1 / heldout));
  const uint64_t block = static_cast<uint64_t>(index), group = block / group_size;
  // A stream for each group, so that the choice in one does not depend on the draws of those before it.
  Philox draw{seed, heldout_stream + group, 0};
  return block % group_size == draw.below(group_size);
}

}  // namespace dsllm
