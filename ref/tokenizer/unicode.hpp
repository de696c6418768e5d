// UTF-8 (Unicode 15, section 3.9): reading code points, and finding and replacing what is not valid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dsllm::ref {

struct CodePoint {
  char32_t value;
  uint32_t length;  // in bytes, 1 to 4
};

// The code point that begins at p, in text that is known to be valid.
inline CodePoint decode_valid_utf8(const char* p) {
  const auto byte = [p](int i) { return static_cast<char32_t>(static_cast<unsigned char>(p[i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

void append_utf8(char32_t value, std::string& out);

// What stands at the front of a non-empty text: one valid sequence, or bytes that begin no valid sequence, or the
// beginning of a sequence that the text's end cuts off.
struct Utf8Step {
  enum Kind { valid, invalid, incomplete } kind;
  uint32_t length;  // for invalid ones the longest part that some valid sequence begins with, at least 1
};
Utf8Step next_utf8(std::string_view text);

// The offset of the first byte that belongs to no valid sequence; text.size() if all is valid.
size_t find_invalid_utf8(std::string_view text);

// Appends text with U+FFFD for every invalid or incomplete step of next_utf8, as Python's and Rust's lossy decoders
// do.
void append_repaired_utf8(std::string_view text, std::string& out);

}  // namespace dsllm::ref
