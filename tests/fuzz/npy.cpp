// Any bytes as an .npy file: a FileError, or an array whose bytes lie in the file and whose header, written again,
// says the same.
#include "ref/core/npy.hpp"

#include "ref/core/error.hpp"
#include "tests/fuzz/expect.hpp"

using namespace dsllm;

static void parse(std::span<const std::byte> file) {
  NpyArray array;
  try {
    array = parse_npy(file, "fuzz");
  } catch (const FileError&) {
    return;
  }
  EXPECT(array.bytes.data() >= file.data());
  EXPECT(array.bytes.data() + array.bytes.size() == file.data() + file.size());
  EXPECT(byte_count(array.dtype, array.shape) == static_cast<int64_t>(array.bytes.size()));

  std::string again = detail::npy_header(array.dtype, array.shape);
  if (again.size() > 65535) return;  // thousands of extents; no view has them
  again.append(reinterpret_cast<const char*>(array.bytes.data()), array.bytes.size());
  const NpyArray same = parse_npy(std::as_bytes(std::span(again)), "written again");
  EXPECT(same.dtype == array.dtype);
  EXPECT(same.shape == array.shape);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  parse(std::as_bytes(std::span(input)));
  // Once more as "header, zero byte, data" behind a magic word and the right length, which are hard to hit by chance.
  const std::string_view header = input.substr(0, std::min(input.find('\0'), size_t{65535}));
  std::string file("\x93NUMPY\x01\x00", 8);
  file += {static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  file += header;
  if (header.size() < size) file += input.substr(header.size() + 1);
  parse(std::as_bytes(std::span(file)));
  return 0;
}
