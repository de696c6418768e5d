#include "ref/tokenizer/train.hpp"

#include <doctest/doctest.h>

#include "ref/core/file.hpp"
#include "ref/core/json.hpp"
#include "ref/tokenizer/tokenizer_json.hpp"
#include "tests/tokenizer/shared_data.hpp"

using namespace dsllm;
using namespace dsllm::ref;

TEST_CASE("train: every merge and id that the library learns from the King James Bible") {
  const auto expected_path = test::shared_data("tokenizer/hf_train_kjv.json");
  const auto text = test::king_james_bible();
  if (!expected_path || !text) return;
  const std::string_view view = *text;
  const Tokenizer expected = read_tokenizer_json(*expected_path);
  const Vocabulary learned = train_bpe({&view, 1}, {.vocab_size = 100000});
  CHECK(learned.tokens == expected.vocabulary().tokens);
  REQUIRE(learned.merges.size() == expected.vocabulary().merges.size());
  CHECK(learned.merges.size() == 24537);
  for (size_t k = 0; k < learned.merges.size(); ++k) {
    const Merge a = learned.merges[k], b = expected.vocabulary().merges[k];
    CAPTURE(k);
    REQUIRE(learned.tokens[static_cast<size_t>(a.left)] == learned.tokens[static_cast<size_t>(b.left)]);
    REQUIRE(learned.tokens[static_cast<size_t>(a.right)] == learned.tokens[static_cast<size_t>(b.right)]);
    REQUIRE(a.result == b.result);
  }
}
