#include "ref/core/checksum.hpp"

#include <doctest/doctest.h>

#include <string_view>

using namespace dsllm;

static std::string of(std::string_view text) {
  return checksum(std::as_bytes(std::span(text.data(), text.size())));
}

TEST_CASE("checksum: XXH3_64bits of the published library") {
  // `printf %s TEXT | xxhsum -H3` (xxhsum 0.8.1).
  CHECK(of("") == "2d06800538d394c2");
  CHECK(of("DeepSeek LLM") == "46114fa2362d1927");
}
