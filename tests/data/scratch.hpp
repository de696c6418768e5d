// A folder for one test, and a tokenizer whose ids are bytes.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "ref/core/file.hpp"
#include "ref/data/pack.hpp"

namespace dsllm::testing {

// Made empty, removed at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "dsllm-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

  std::string write(const std::string& name, std::string_view text) const {
    write_file_atomically(*this / name, text);
    return *this / name;
  }

 private:
  std::string path_;
};

inline constexpr int32_t byte_bos = 256, byte_eos = 257;

inline PackTokenizer byte_tokenizer() {
  return {[](std::string_view text, std::vector<int32_t>& ids) {
            for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
          },
          258, byte_bos, byte_eos, "{}\n"};
}

}  // namespace dsllm::testing
