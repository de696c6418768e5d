// Checksums of files: XXH3, 64 bits (the xxHash library), which runs at the speed of memory. They find torn and rotten
// files; they are no protection against somebody who forges one.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace dsllm {

// 16 hexadecimal digits.
std::string checksum(std::span<const std::byte> bytes);

// Of a whole file. Throws FileError.
std::string file_checksum(const std::string& path);

}  // namespace dsllm
