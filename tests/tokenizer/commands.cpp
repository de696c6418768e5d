#include "ref/tokenizer/commands.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "tests/tokenizer/small.hpp"

using namespace dsllm;
using namespace dsllm::ref;

namespace {

std::string encode(const std::string& text, TokenizerEncodeCommand command = {}) {
  command.tokenizer = test::small_path();
  std::istringstream in(text);
  std::ostringstream out;
  tokenizer_encode(command, in, out);
  return out.str();
}

std::string decode(const std::string& ids, TokenizerDecodeCommand command = {}) {
  command.tokenizer = test::small_path();
  std::istringstream in(ids);
  std::ostringstream out;
  tokenizer_decode(command, in, out);
  return out.str();
}

std::string join(const std::vector<int32_t>& ids, const char* separator) {
  std::string text;
  for (const int32_t id : ids) text += (text.empty() ? "" : separator) + std::to_string(id);
  return text;
}

}  // namespace

TEST_CASE("commands: encode prints ids on one line, decode the text and nothing else") {
  const std::string text = "taking the\n\n  train, 中文\n";
  CHECK(encode(text) == join(test::small().encode(text), " ") + "\n");
  CHECK(decode(encode(text)) == text);
  CHECK(encode("") == "\n");
  CHECK(encode("", {.bos = true}) == "0\n");
  CHECK(encode("a", {.bos = true}) == "0 " + encode("a"));
  CHECK(decode("") == "");
  CHECK(encode("<｜end▁of▁sentence｜>", {.parse_special = true}) == "1\n");
  CHECK(decode("0 1", {.skip_special = true}) == "");
}

TEST_CASE("commands: text of many parts is encoded as if it were one") {
  std::string text;  // 1 MiB is read at a time; lines of all lengths, one longer than that
  for (size_t i = 0; text.size() < (size_t{3} << 20); ++i) text += test::mixed_text(i, i % 4000);
  text += std::string(size_t{2} << 20, 'a') + "\nend";
  CHECK(encode(text) == join(test::small().encode(text), " ") + "\n");
  CHECK(decode(encode(text, {.bos = true}), {.skip_special = true}) == text);
  text[text.size() - 2] = '\xFF';
  const std::string at = std::to_string(text.size() - 2);
  CHECK_THROWS_WITH_AS(encode(text), ("encode: expected valid UTF-8, got 0xFF at offset " + at).c_str(),
                       ValueError);
  CHECK(decode(encode(text, {.replace_invalid = true})) == text.substr(0, text.size() - 2) + "\uFFFDd");
}

TEST_CASE("commands: --jsonl both ways") {
  const std::string lines = "\"a\\nb\"\n\"\"\n\"\\u0000 \\ud83d\\ude00\"\n\"Führer\"\n";
  const std::string ids = encode(lines, {.jsonl = true, .bos = true});
  std::ostringstream expected;
  for (const std::string& text :
       {std::string("a\nb"), std::string(), std::string("\0 😀", 6), std::string("Führer")})
    expected << '[' << join(test::small().encode(text, {.add_bos = true}), ",") << "]\n";
  CHECK(ids == expected.str());
  CHECK(decode(ids, {.jsonl = true, .repair = true, .skip_special = true}) ==
        "\"a\\nb\"\n\"\"\n\"\\u0000 😀\"\n\"Führer\"\n");
  CHECK(encode("", {.jsonl = true}) == "");
}

TEST_CASE("commands: bad lines are named") {
  const auto error_of = [](auto f) -> std::string {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  CHECK(error_of([] { encode("\"a\"\n17\n", {.jsonl = true}); }) ==
        "input: line 2: expected a JSON string, got number");
  CHECK(error_of([] { encode("\"a\"\n\n", {.jsonl = true}); }).find("input: line 2") == 0);
  CHECK(error_of([] { encode("\"\\ud800\"\n", {.jsonl = true}); }).find("input: line 1") == 0);
  CHECK(error_of([] { decode("[1,-2]\n", {.jsonl = true}); }) ==
        "input: line 1: expected a JSON array of ids, got [1,-2]");
  CHECK(error_of([] { decode("[1]\n[624]\n", {.jsonl = true}); }) ==
        "input: line 2: expected ids of the vocabulary, got decode: expected ids in [0, 624), got 624");
  CHECK(error_of([] { decode("[1e99]\n", {.jsonl = true}); }).find("input: line 1") == 0);
  CHECK(error_of([] { decode("1 2 x3"); }) == "input: expected ids with white space between them, got 'x3'");
  CHECK(error_of([] { decode("1 99999999999"); }).find("input: expected ids") == 0);
  CHECK(error_of([] { decode("1 624"); }) == "decode: expected ids in [0, 624), got 624");
  CHECK(error_of([] { encode("a", {.tokenizer = "x"}); }) == "no error");
}

TEST_CASE("commands: train writes a file that encodes, and tells what it does") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "dsllm-test-tokenizer";
  std::filesystem::create_directories(folder);
  const std::string text = (folder / "text").string(), out = (folder / "tokenizer.json").string();
  std::ofstream(text) << "the train, the rain\n";
  std::ostringstream log;
  tokenizer_train(
      {.inputs = {text, text}, .out = out, .vocab_size = 400, .special = {"<s>"}, .all_bytes = true}, log);
  const Tokenizer t = read_tokenizer_json(out);
  CHECK(t.bos() == 0);
  CHECK(t.decode(t.encode("the 中 rain")) == "the 中 rain");
  CHECK(t.encode(" rain").size() == 1);
  CHECK(log.str().find("2 files") != std::string::npos);
  CHECK(log.str().find(std::to_string(t.size()) + " tokens") != std::string::npos);

  std::ofstream(text) << "ab\xFF";
  CHECK_THROWS_WITH_AS(tokenizer_train({.inputs = {text}, .out = out, .vocab_size = 400}, log),
                       (text + ": byte 2: expected valid UTF-8, got 0xFF").c_str(), FileError);
  CHECK_THROWS_AS(tokenizer_train({.inputs = {text + "-none"}, .out = out, .vocab_size = 400}, log),
                  FileError);
  CHECK(read_tokenizer_json(out).size() == t.size());  // the old file stays
  std::filesystem::remove_all(folder);
}
