#include "ref/tokenizer/byte_level.hpp"

#include <array>

#include "ref/tokenizer/unicode.hpp"

namespace dsllm::ref {
namespace {

struct Table {
  std::array<char16_t, 256> to_char;
  std::array<int16_t, 0x144> to_byte;  // -1: spells none
};

const Table table = [] {
  Table t;
  t.to_byte.fill(-1);
  char16_t next = 0x100;
  for (int b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    t.to_char[static_cast<size_t>(b)] = printable ? static_cast<char16_t>(b) : next++;
    t.to_byte[t.to_char[static_cast<size_t>(b)]] = static_cast<int16_t>(b);
  }
  return t;
}();

}  // namespace

char32_t byte_to_char(uint8_t byte) {
  return table.to_char[byte];
}

std::optional<uint8_t> char_to_byte(char32_t c) {
  if (c >= table.to_byte.size() || table.to_byte[c] < 0) return std::nullopt;
  return static_cast<uint8_t>(table.to_byte[c]);
}

std::string spell_bytes(std::string_view bytes) {
  std::string spelled;
  for (const char b : bytes) append_utf8(byte_to_char(static_cast<uint8_t>(b)), spelled);
  return spelled;
}

std::optional<std::string> unspell_bytes(std::string_view spelled) {
  std::string bytes;
  for (size_t i = 0; i < spelled.size();) {
    const CodePoint c = decode_valid_utf8(spelled.data() + i);
    const std::optional<uint8_t> byte = char_to_byte(c.value);
    if (!byte) return std::nullopt;
    bytes.push_back(static_cast<char>(*byte));
    i += c.length;
  }
  return bytes;
}

}  // namespace dsllm::ref
