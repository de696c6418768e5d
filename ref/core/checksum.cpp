#include "ref/core/checksum.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include "ref/core/file.hpp"

namespace dsllm {

std::string checksum(std::span<const std::byte> bytes) {
  return fmt::format("{:016x}", static_cast<uint64_t>(XXH3_64bits(bytes.data(), bytes.size())));
}

std::string file_checksum(const std::string& path) {
  return checksum(MappedFile(path).bytes());
}

}  // namespace dsllm
