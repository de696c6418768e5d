// The published DeepSeek LLM vocabulary against what the `tokenizers` library says about it.
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "ref/core/json.hpp"
#include "ref/tokenizer/byte_level.hpp"
#include "ref/tokenizer/pretokenize.hpp"
#include "ref/tokenizer/stream_decoder.hpp"
#include "ref/tokenizer/tokenizer_json.hpp"
#include "tests/tokenizer/shared_data.hpp"

using namespace dsllm;
using namespace dsllm::ref;

namespace {

// Read once for all cases; nothing where it is absent.
const Tokenizer* deepseek() {
  static const auto tokenizer = [] {
    const auto path = test::shared_data("tokenizer/deepseek-llm-tokenizer.json");
    return path ? std::optional(read_tokenizer_json(*path)) : std::nullopt;
  }();
  return tokenizer ? &*tokenizer : nullptr;
}

}  // namespace

TEST_CASE("tokenizer: ids, pieces and decoded text of the golden cases") {
  const auto path = test::shared_data("tokenizer/golden_cases.json");
  if (!path || !deepseek()) return;
  const Json cases = read_json(*path);
  CHECK(cases.size() == 215);
  for (const Json& c : cases) {
    const std::string text = c["text"];
    CAPTURE(text);
    std::vector<std::string> pieces;
    for (const std::string_view piece : pretokenize(text)) pieces.push_back(spell_bytes(piece));
    CHECK(pieces == c["pieces"].get<std::vector<std::string>>());
    const std::vector<int32_t> ids = deepseek()->encode(text, {.parse_special = true});
    CHECK(ids == c["ids"].get<std::vector<int32_t>>());
    CHECK(deepseek()->decode(ids) == c["decoded"].get<std::string>());
    CHECK(deepseek()->decode(ids, {.repair = true}) == text);
  }
}

TEST_CASE("tokenizer: the test vectors that llama.cpp publishes for this vocabulary") {
  const auto inputs = test::shared_data("tokenizer/vectors/ggml-vocab-deepseek-llm.gguf.inp");
  const auto outputs = test::shared_data("tokenizer/vectors/ggml-vocab-deepseek-llm.gguf.out");
  if (!inputs || !outputs || !deepseek()) return;
  const std::string text = read_file(*inputs), separator = "\n__ggml_vocab_test__\n";
  std::istringstream expected(read_file(*outputs));
  int count = 0;
  std::string line;
  for (size_t begin = 0; begin < text.size(); ++count) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    const std::string input = text.substr(begin, end - begin);
    begin = end + separator.size();
    CAPTURE(input);
    REQUIRE(std::getline(expected, line));
    std::istringstream numbers(line);
    const std::vector<int32_t> ids{std::istream_iterator<int32_t>(numbers), {}};
    CHECK(deepseek()->encode(input) == ids);
  }
  CHECK(count == 46);
  CHECK(!std::getline(expected, line));
}

TEST_CASE("tokenizer: sizes and special ids of the published vocabulary") {
  if (!deepseek()) return;
  CHECK(deepseek()->size() == 100015);
  CHECK(deepseek()->bos() == 100000);
  CHECK(deepseek()->eos() == 100001);
  CHECK(deepseek()->encode("a", {.add_bos = true}) == std::vector<int32_t>{100000, 64});
  const std::string spelled = "<｜end▁of▁sentence｜>";
  CHECK(deepseek()->encode(spelled, {.parse_special = true}) == std::vector<int32_t>{100001});
  const std::vector<int32_t> as_text = deepseek()->encode(spelled);
  CHECK(std::find(as_text.begin(), as_text.end(), 100001) == as_text.end());
  CHECK(deepseek()->decode(as_text) == spelled);
  CHECK(deepseek()->decode(std::vector<int32_t>{64, 100001}, {.skip_special = true}) == "a");
  CHECK_THROWS_WITH_AS(deepseek()->decode(std::vector<int32_t>{100015}),
                       "decode: expected ids in [0, 100015), got 100015", ValueError);
}
