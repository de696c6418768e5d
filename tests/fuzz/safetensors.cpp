// Any bytes as a safetensors file: a FileError or tensors that lie in the file one after the other, nothing else.
#include "ref/core/safetensors.hpp"

#include <algorithm>

#include "tests/fuzz/expect.hpp"

using namespace dsllm;

static void parse(std::span<const std::byte> file) {
  SafetensorsHeader header;
  try {
    header = parse_safetensors(file, "fuzz");
  } catch (const FileError&) {
    return;
  }
  const std::byte* end =
      header.tensors.empty() ? file.data() + file.size() : header.tensors.front().bytes.data();
  for (const TensorInfo& t : header.tensors) {
    EXPECT(t.bytes.data() == end);
    end += t.bytes.size();
    int64_t elements = 1;
    for (const int64_t n : t.shape) {
      EXPECT(n >= 0);
      EXPECT(!__builtin_mul_overflow(elements, n, &elements));
    }
    EXPECT(elements == t.elements());
    EXPECT(static_cast<int64_t>(t.bytes.size()) == elements * describe(t.dtype).size);
  }
  EXPECT(end == file.data() + file.size());
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> input = std::as_bytes(std::span(data, size));
  parse(input);
  // Once more as "header, zero byte, data" with the right length in front, which is hard to hit by chance.
  const std::byte* const zero = std::find(input.data(), input.data() + size, std::byte{0});
  const size_t length = static_cast<size_t>(zero - input.data());
  std::vector<std::byte> file;
  for (int i = 0; i < 8; ++i) file.push_back(static_cast<std::byte>(length >> (8 * i)));
  file.insert(file.end(), input.data(), zero);
  if (length < size) file.insert(file.end(), zero + 1, input.data() + size);
  parse(file);
  return 0;
}
