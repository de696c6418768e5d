// The byte-to-character table of GPT-2's byte-level BPE: every byte is spelled as one printable character, so that a
// vocabulary of byte strings can be written as text.
//
// The 188 printable bytes of Latin-1 (21-7E, A1-AC, AE-FF) stand for themselves; the other 68, in order, are U+0100,
// U+0101, ...: a space is "Ġ" (U+0120), a newline "Ċ" (U+010A).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dsllm::ref {

char32_t byte_to_char(uint8_t byte);
std::optional<uint8_t> char_to_byte(char32_t c);

// "\n a" -> "ĊĠa"
std::string spell_bytes(std::string_view bytes);

// The reverse; nothing if a character spells no byte. spelled must be valid UTF-8.
std::optional<std::string> unspell_bytes(std::string_view spelled);

// Whether the byte occurs in valid UTF-8: 243 bytes do; C0, C1 and F5 to FF do not.
constexpr bool occurs_in_utf8(uint8_t byte) {
  return byte < 0xC0 || (byte > 0xC1 && byte < 0xF5);
}

}  // namespace dsllm::ref
