// Where the digitized figures of the paper lie; tests that need them are skipped with a word where they are absent.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace dsllm::test {

// The path of a file under shared/facts, or nothing (and a printed line) if it is not there.
inline std::optional<std::string> shared_fact(const std::string& name) {
  const char* root = std::getenv("DSLLM_SHARED_FACTS");
  const std::string path =
      (root ? std::string(root) : std::string(DSLLM_SOURCE_DIR) + "/../shared/facts") + "/" + name;
  if (std::filesystem::exists(path)) return path;
  std::printf("skipped: %s is not there\n", path.c_str());
  return std::nullopt;
}

}  // namespace dsllm::test
