#include "ref/tokenizer/tokenizer_json.hpp"

#include <doctest/doctest.h>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "ref/core/json.hpp"
#include "tests/tokenizer/small.hpp"

using namespace dsllm;
using namespace dsllm::ref;

namespace {

// A file of two bytes and one merge, with one field changed; value is JSON, "" removes the field.
std::string file_with(const std::string& pointer, const std::string& value) {
  Vocabulary v;
  v.tokens = {"a", "b", "ab"};
  v.merges = {{0, 1, 2}};
  v.added = {{3, "<s>", true, false}};
  Json json = Json::parse(format_tokenizer_json(v));
  const Json::json_pointer at(pointer);
  if (value.empty()) {
    json[at.parent_pointer()].erase(at.back());
  } else {
    json[at] = Json::parse(value);
  }
  return json.dump();
}

std::string error_of(const std::string& text) {
  try {
    parse_tokenizer_json(text, "t.json");
  } catch (const FileError& e) {
    return e.what();
  }
  return "no error";
}

bool same(const Vocabulary& a, const Vocabulary& b) {
  return format_tokenizer_json(a) == format_tokenizer_json(b);
}

}  // namespace

TEST_CASE("tokenizer.json: what is written reads back the same") {
  const Vocabulary& v = test::small().vocabulary();
  const Tokenizer back = parse_tokenizer_json(format_tokenizer_json(v), "t.json");
  CHECK(back.vocabulary().tokens == v.tokens);
  CHECK(back.vocabulary().merges.size() == v.merges.size());
  CHECK(same(back.vocabulary(), v));
  CHECK(back.vocabulary().added.size() == 6);
  CHECK(back.vocabulary().added[0].special);
  CHECK(!back.vocabulary().added[0].normalized);
  CHECK(back.vocabulary().added[2].normalized);
}

TEST_CASE("tokenizer.json: the pre-tokenizer that is written is the library's own, field by field") {
  const Json written = Json::parse(format_tokenizer_json(test::small().vocabulary()));
  const Json library = read_json(test::small_path());
  // nlohmann's ordered objects compare in order; the order of fields means nothing.
  CHECK(SortedJson::parse(written["pre_tokenizer"].dump()) ==
        SortedJson::parse(library["pre_tokenizer"].dump()));
  CHECK(SortedJson::parse(written["added_tokens"].dump()) ==
        SortedJson::parse(library["added_tokens"].dump()));
  CHECK(SortedJson::parse(written["model"].dump()) == SortedJson::parse(library["model"].dump()));
}

TEST_CASE("tokenizer.json: merges as strings and as pairs") {
  CHECK(parse_tokenizer_json(file_with("/model/merges", R"(["a b"])"), "").encode("ab") ==
        std::vector<int32_t>{2});
  CHECK(parse_tokenizer_json(file_with("/model/merges", R"([["a", "b"]])"), "").encode("ab") ==
        std::vector<int32_t>{2});
}

TEST_CASE("tokenizer.json: optional fields may be absent, empty or null") {
  for (const char* field :
       {"/truncation", "/padding", "/normalizer", "/post_processor", "/added_tokens", "/version",
        "/model/dropout", "/model/unk_token", "/model/ignore_merges", "/model/type"}) {
    CAPTURE(field);
    CHECK(error_of(file_with(field, "")) == "no error");
  }
  CHECK(error_of(file_with("/model/continuing_subword_prefix", R"("")")) == "no error");
  CHECK(error_of(file_with("/normalizer", R"({"type": "Sequence", "normalizers": []})")) == "no error");
  CHECK(error_of(file_with("/post_processor", R"({"type": "ByteLevel", "trim_offsets": false})")) ==
        "no error");
}

TEST_CASE("tokenizer.json: an error names the place, the expected and the found") {
  const auto merge = [](const std::string& value) { return error_of(file_with("/model/merges/0", value)); };
  CHECK(merge(R"("a x")") ==
        "t.json: model.merges[0]: expected a right part that is in the vocabulary, got 'x'");
  CHECK(merge(R"("x b")") ==
        "t.json: model.merges[0]: expected a left part that is in the vocabulary, got 'x'");
  CHECK(merge(R"("b a")") ==
        "t.json: model.merges[0]: expected a result that is in the vocabulary, got 'ba'");
  CHECK(merge(R"("ab")") ==
        "t.json: model.merges[0]: expected two tokens with one space between them, got \"ab\"");
  CHECK(merge(R"("a b c")") ==
        "t.json: model.merges[0]: expected two tokens with one space between them, got \"a b c\"");
  CHECK(merge(R"(["a"])") == "t.json: model.merges[0]: expected two tokens, got [\"a\"]");
  CHECK(merge(R"(["a", 1])") == "t.json: model.merges[0][1]: expected a string, got 1");
  CHECK(merge("7") == "t.json: model.merges[0]: expected a string, got 7");
  CHECK(error_of(file_with("/model/merges", R"(["a b", ["a", "b"]])")) ==
        "t.json: model.merges[1]: expected a new pair, got the pair of model.merges[0] again");
  CHECK(error_of(file_with("/model/merges", "")) == "t.json: model.merges: expected an array, got null");
  CHECK(error_of(file_with("/model/vocab", R"({"a": 0, "b": 1, "ab": 1})")) ==
        "t.json: model.vocab.b: expected an id of its own, got 1, which 'ab' has");
  CHECK(error_of(file_with("/model/vocab", R"({"a": 0, "b": 1, "ab": 3})")) ==
        "t.json: model.vocab.ab: expected an id in [0, 3), so that 3 tokens leave no gap, got 3");
  CHECK(error_of(file_with("/model/vocab/a", "-1")).find("model.vocab.a: expected an id in [0, 3)") !=
        std::string::npos);
  CHECK(error_of(file_with("/model/vocab/a", "0.5")).find("got 0.5") != std::string::npos);
  CHECK(error_of(file_with("/model/vocab", "[]")) ==
        "t.json: model.vocab: expected an object from tokens to ids, got []");
  CHECK(error_of(file_with("/added_tokens/0/id", "5")) ==
        "t.json: added_tokens: expected ids and contents that agree with the vocabulary, got Tokenizer: "
        "expected the "
        "next id, 3, for added token 0, got 5");
  CHECK(error_of(file_with("/added_tokens/0/id", "-5")) ==
        "t.json: added_tokens[0].id: expected an id of 31 bits, got -5");
  CHECK(error_of(file_with("/added_tokens/0/content", "null")) ==
        "t.json: added_tokens[0].content: expected a string, got null");
  CHECK(error_of("[]") == "t.json: expected an object, got []");
}

TEST_CASE("tokenizer.json: broken JSON, a key that stands twice, trailing bytes, deep nesting") {
  const std::string good = file_with("/version", R"("1.0")");
  CHECK(error_of(good) == "no error");
  CHECK(error_of(good.substr(0, good.size() - 1)).find("t.json: byte") == 0);
  CHECK(error_of(good + "x").find("t.json: byte") == 0);
  CHECK(error_of("").find("t.json: byte") == 0);
  CHECK(error_of(R"({"model": {"vocab": {"a": 0, "a": 1}}})").find("key 'a'") != std::string::npos);
  CHECK(error_of(std::string(100000, '[')).find("nested") != std::string::npos);
  CHECK_THROWS_AS(read_tokenizer_json("/nonexistent/tokenizer.json"), FileError);
}

TEST_CASE("tokenizer.json: what is not supported is an error, not a guess") {
  const auto place_of = [](const std::string& pointer, const std::string& value) {
    const std::string error = error_of(file_with(pointer, value));
    return error.substr(0, error.find(": expected"));
  };
  const auto refused = [&](const std::string& pointer, const std::string& value, const std::string& place) {
    CAPTURE(pointer);
    CHECK(place_of(pointer, value) == "t.json: " + place);
  };
  refused("/model/type", R"("WordPiece")", "model.type");
  refused("/model/dropout", "0.1", "model.dropout");
  refused("/model/unk_token", R"("<unk>")", "model.unk_token");
  refused("/model/continuing_subword_prefix", R"("##")", "model.continuing_subword_prefix");
  refused("/model/end_of_word_suffix", R"("</w>")", "model.end_of_word_suffix");
  refused("/model/fuse_unk", "true", "model.fuse_unk");
  refused("/model/byte_fallback", "true", "model.byte_fallback");
  refused("/model/ignore_merges", "true", "model.ignore_merges");
  refused("/normalizer", R"({"type": "NFC"})", "normalizer.type");
  refused("/normalizer", R"({"type": "Sequence", "normalizers": [{"type": "NFC"}]})",
          "normalizer.normalizers");
  refused("/pre_tokenizer", "null", "pre_tokenizer");
  refused("/pre_tokenizer", R"({"type": "Whitespace"})", "pre_tokenizer");
  refused("/pre_tokenizer/pretokenizers/1/pattern/Regex", R"("\\s?\\p{L}+")",
          "pre_tokenizer.pretokenizers[1].pattern");
  refused("/pre_tokenizer/pretokenizers/0/behavior", R"("Removed")",
          "pre_tokenizer.pretokenizers[0].behavior");
  refused("/pre_tokenizer/pretokenizers/3/invert", "true", "pre_tokenizer.pretokenizers[3].invert");
  refused("/pre_tokenizer/pretokenizers/5/individual_digits", "false",
          "pre_tokenizer.pretokenizers[5].individual_digits");
  refused("/pre_tokenizer/pretokenizers/6/add_prefix_space", "true",
          "pre_tokenizer.pretokenizers[6].add_prefix_space");
  refused("/pre_tokenizer/pretokenizers/6/use_regex", "true", "pre_tokenizer.pretokenizers[6].use_regex");
  refused("/pre_tokenizer/pretokenizers", "[]", "pre_tokenizer.pretokenizers");
  refused("/post_processor", R"({"type": "TemplateProcessing"})", "post_processor.type");
  refused("/decoder", "null", "decoder");
  refused("/decoder/type", R"("Metaspace")", "decoder.type");
  refused("/truncation", R"({"max_length": 5})", "truncation");
  refused("/padding", R"({"length": 5})", "padding");
  refused("/added_tokens/0/lstrip", "true", "added_tokens[0].lstrip");
  refused("/added_tokens/0/single_word", "true", "added_tokens[0].single_word");
}
