// A folder for one test, and a tokenizer whose ids are bytes.
#pragma once

#include <string>

#include "ref/core/file.hpp"
#include "ref/data/pack.hpp"
#include "tests/temporary_folder.hpp"

namespace dsllm::testing {

struct ScratchFolder : TemporaryFolder {
  // Returns the path of the new file.
  std::string write(const std::string& name, std::string_view text) const {
    write_file_atomically(*this / name, text);
    return *this / name;
  }
};

inline constexpr int32_t byte_bos = 256, byte_eos = 257;

inline PackTokenizer byte_tokenizer() {
  return {[](std::string_view text, std::vector<int32_t>& ids) {
            for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
          },
          258, byte_bos, byte_eos, "{}\n"};
}

}  // namespace dsllm::testing
