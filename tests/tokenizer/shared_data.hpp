// Where the published tokenizer and its golden cases lie, and the text of installed packages; tests that need them
// are skipped with a word where they are absent.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace dsllm::test {

// The path of a file under shared/data, or nothing (and a printed line) if it is not there.
inline std::optional<std::string> shared_data(const std::string& name) {
  const char* root = std::getenv("DSLLM_SHARED_DATA");
  const std::string path =
      (root ? std::string(root) : std::string(DSLLM_SOURCE_DIR) + "/../shared/data") + "/" + name;
  if (std::filesystem::exists(path)) return path;
  std::printf("skipped: %s is not there\n", path.c_str());
  return std::nullopt;
}

// Standard output of a command, or nothing (and a printed line) if it fails or prints nothing.
inline std::optional<std::string> output_of(const std::string& command) {
  std::string text;
  std::FILE* pipe = ::popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe != nullptr) {
    char piece[65536];
    for (size_t n; (n = std::fread(piece, 1, sizeof piece, pipe)) > 0;) text.append(piece, n);
    if (::pclose(pipe) == 0 && !text.empty()) return text;
  }
  std::printf("skipped: `%s` gives nothing\n", command.c_str());
  return std::nullopt;
}

// The King James Bible as the package bible-kjv prints it, one line of at most 100 characters after another.
inline std::optional<std::string> king_james_bible() {
  return output_of("yes '' | bible -p /usr/lib -l100 'gen1:1-rev22:21'");
}

}  // namespace dsllm::test
