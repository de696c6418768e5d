#include "ref/core/npy.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

#include "ref/core/error.hpp"

namespace dsllm {
namespace {

constexpr std::string_view magic = "\x93NUMPY";

// The part of Python's literals that a header is made of: strings without escapes, True and False, tuples of whole
// numbers, and one dict of them.
class Literal {
 public:
  Literal(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  [[noreturn]] void fail(const std::string& expected) const {
    throw FileError(path_, fmt::format("header, character {}", at_), expected,
                    at_ < text_.size()
                        ? fmt::format("byte {}", static_cast<int>(static_cast<uint8_t>(text_[at_])))
                        : "its end");
  }

  // Skips spaces, then takes c if it is next.
  bool take(char c) {
    skip_spaces();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void need(char c) {
    if (!take(c)) fail(fmt::format("'{}'", c));
  }
  void need_end() {
    skip_spaces();
    if (at_ < text_.size()) fail("nothing after the dict");
  }

  std::string string() {
    const char quote = take('\'') ? '\'' : take('"') ? '"' : '\0';
    if (quote == '\0') fail("a string");
    const size_t end = text_.find_first_of(std::string{quote, '\\', '\n'}, at_);
    if (end == text_.npos || text_[end] != quote) fail("a string that ends, without escapes");
    const std::string s(text_.substr(at_, end - at_));
    at_ = end + 1;
    return s;
  }

  bool boolean() {
    skip_spaces();
    for (const std::string_view word : {"True", "False"}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return word == "True";
    }
    fail("True or False");
  }

  // (), (3,), (3, 4), (3, 4,)
  std::vector<int64_t> tuple() {
    std::vector<int64_t> values;
    need('(');
    while (!take(')')) {
      values.push_back(whole_number());
      if (take(',')) continue;
      if (values.size() == 1) fail("',' in a tuple of one");
      need(')');
      break;
    }
    return values;
  }

 private:
  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  int64_t whole_number() {
    skip_spaces();
    const size_t begin = at_;
    int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value))
        fail("a number of at most 63 bits");
    if (at_ == begin) fail("a whole number >= 0");
    return value;
  }

  std::string_view text_;
  const std::string& path_;
  size_t at_ = 0;
};

DType parse_descr(const std::string& descr, const std::string& path) {
  for (const DTypeInfo& d : dtypes)
    if (!d.npy.empty() && d.npy == descr) return d.dtype;
  if (descr.starts_with('>'))
    throw FileError(path, "descr", "a little-endian type", fmt::format("'{}'", descr));
  throw FileError(path, "descr", "a type of floating point, integer or boolean", fmt::format("'{}'", descr));
}

}  // namespace

NpyArray parse_npy(std::span<const std::byte> file, const std::string& path) {
  const std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  if (!all.starts_with(magic) || all.size() < 10)
    throw FileError(path, "", "an .npy file, beginning with \\x93NUMPY and a version", "something else");
  const int major = static_cast<uint8_t>(all[6]), minor = static_cast<uint8_t>(all[7]);
  if (major < 1 || major > 3 || minor != 0)
    throw FileError(path, "", "version 1.0, 2.0 or 3.0", fmt::format("{}.{}", major, minor));
  const size_t begin = major == 1 ? 10 : 12;  // the length of the header has 2 bytes in version 1, then 4
  size_t length = 0;
  for (size_t i = begin; i-- > 8;)
    length = length << 8 | (i < all.size() ? static_cast<uint8_t>(all[i]) : 0u);
  if (begin > all.size() || length > all.size() - begin)
    throw FileError(path, "header", "a length of at most the bytes that follow", fmt::format("{}", length));

  Literal header(all.substr(begin, length), path);
  std::optional<DType> dtype;
  std::optional<bool> column_major;
  std::optional<std::vector<int64_t>> shape;
  header.need('{');
  while (!header.take('}')) {
    const std::string key = header.string();
    header.need(':');
    if ((key == "descr" && dtype) || (key == "fortran_order" && column_major) || (key == "shape" && shape))
      throw FileError(path, "header", fmt::format("one '{}'", key), "two");
    if (key == "descr")
      dtype = parse_descr(header.string(), path);
    else if (key == "fortran_order")
      column_major = header.boolean();
    else if (key == "shape")
      shape = header.tuple();
    else
      throw FileError(path, "header", "only descr, fortran_order and shape", fmt::format("'{}'", key));
    if (header.take(',')) continue;
    header.need('}');
    break;
  }
  header.need_end();
  if (!dtype || !column_major || !shape)
    throw FileError(path, "header", "descr, fortran_order and shape", "not all of them");
  if (*column_major) throw FileError(path, "fortran_order", "False (a row-major array)", "True");

  const std::span<const std::byte> data = file.subspan(begin + length);
  const std::optional<int64_t> bytes = byte_count(*dtype, *shape);
  const std::string extents = fmt::format("[{}]", fmt::join(*shape, ", "));
  if (!bytes) throw FileError(path, "shape", "extents whose bytes fit in 63 bits", extents);
  if (static_cast<uint64_t>(*bytes) != data.size())
    throw FileError(path, "", fmt::format("{} bytes for {} {}", *bytes, describe(*dtype).npy, extents),
                    fmt::format("{}", data.size()));
  if (*dtype == DType::boolean)
    for (const std::byte b : data)
      if (std::to_integer<int>(b) > 1)
        throw FileError(path, "", "booleans of 0 or 1", fmt::format("{}", std::to_integer<int>(b)));
  return {*dtype, std::move(*shape), data};
}

void detail::check_npy(const NpyArray& array, DType dtype, int n, const std::string& path) {
  if (array.dtype != dtype)
    throw FileError(path, "descr", fmt::format("'{}' ({})", describe(dtype).npy, describe(dtype).name),
                    fmt::format("'{}'", describe(array.dtype).npy));
  const bool scalar_as_one = array.shape.empty() && n == 1;
  if (static_cast<int>(array.shape.size()) != n && !scalar_as_one)
    throw FileError(path, "shape", fmt::format("{} extents", n),
                    fmt::format("[{}]", fmt::join(array.shape, ", ")));
}

std::string detail::npy_header(DType dtype, std::span<const int64_t> shape) {
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                 describe(dtype).npy, fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  // The data begins at a multiple of 64 bytes, the byte before it is a newline.
  text.resize((10 + text.size() + 1 + 63) / 64 * 64 - 11, ' ');
  text += '\n';
  std::string bytes(magic);
  bytes += {'\x01', '\x00', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return bytes + text;
}

}  // namespace dsllm
