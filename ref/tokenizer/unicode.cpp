#include "ref/tokenizer/unicode.hpp"

#include <cstring>

namespace dsllm::ref {
namespace {

// How many ASCII bytes text begins with, looking at eight at a time.
size_t ascii_prefix(std::string_view text) {
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t bytes;
    std::memcpy(&bytes, text.data() + i, 8);
    if (bytes & UINT64_C(0x8080808080808080)) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

}  // namespace

void append_utf8(char32_t value, std::string& out) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | value >> 6);
    put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | value >> 12);
    put(0x80 | (value >> 6 & 0x3F));
    put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | value >> 18);
    put(0x80 | (value >> 12 & 0x3F));
    put(0x80 | (value >> 6 & 0x3F));
    put(0x80 | (value & 0x3F));
  }
}

Utf8Step next_utf8(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {Utf8Step::valid, 1};
  // Table 3-7 of the standard: how many bytes follow, and which second bytes are allowed (this excludes overlong
  // forms, surrogates and values above U+10FFFF).
  uint32_t length = 0;
  unsigned low = 0x80, high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {Utf8Step::invalid, 1};
  }
  for (uint32_t i = 1; i < length; ++i, low = 0x80, high = 0xBF) {
    if (i == text.size()) return {Utf8Step::incomplete, i};
    if (byte(i) < low || byte(i) > high) return {Utf8Step::invalid, i};
  }
  return {Utf8Step::valid, length};
}

size_t find_invalid_utf8(std::string_view text) {
  for (size_t i = ascii_prefix(text); i < text.size();) {
    const Utf8Step step = next_utf8(text.substr(i));
    if (step.kind != Utf8Step::valid) return i;
    i += step.length;
    if (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) i += ascii_prefix(text.substr(i));
  }
  return text.size();
}

void append_repaired_utf8(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const size_t good = find_invalid_utf8(text);
    out.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) return;
    append_utf8(0xFFFD, out);
    text.remove_prefix(next_utf8(text).length);
  }
}

}  // namespace dsllm::ref
