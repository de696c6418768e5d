#include "ref/core/json.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "ref/core/error.hpp"

using namespace dsllm;

static std::string complaint_about(const std::string& text) {
  try {
    parse_sorted_json(text, "x");
    parse_json(text, "x");
  } catch (const FileError& e) {
    return e.what();
  }
  return "";
}

TEST_CASE("json: fields keep their order, sorted ones are sorted") {
  CHECK(parse_json(R"({"b": [1, 2.5, "x", null, true], "a": {}})", "x").dump() ==
        R"({"b":[1,2.5,"x",null,true],"a":{}})");
  CHECK(parse_sorted_json(R"({"b": 1, "a": 2})", "x").dump() == R"({"a":2,"b":1})");
}

TEST_CASE("json: what is broken, doubled or too deep is an error with its place") {
  CHECK(complaint_about(R"({"a": 1)").starts_with("x: byte 8: expected valid JSON, got syntax error"));
  CHECK(complaint_about("").starts_with("x: byte 1: expected valid JSON, got "));
  CHECK(complaint_about("{} {}").starts_with("x: byte 4: expected valid JSON, got "));
  CHECK(complaint_about("[1e999]").starts_with("x: byte 6: expected valid JSON, got number overflow"));
  CHECK(complaint_about("\"\xff\"").starts_with("x: byte 2: expected valid JSON, got "));
  CHECK(complaint_about("[NaN]") != "");
  CHECK(complaint_about("// comment\n1") != "");
  CHECK(complaint_about(R"({"a": 1, "b": {"a": 2}, "a": 3})") ==
        "x: key 'a': expected one value for it, got two");
  CHECK(complaint_about(R"([{"a": 1}, {"a": 2}, {"b": {"a": 3}}])") == "");
  const auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK(complaint_about(nested(64)) == "");
  CHECK(complaint_about(nested(65)) == "x: expected JSON nested at most 64 deep, got deeper nesting");
  // Deep enough to exhaust the stack of a parser that calls itself.
  CHECK(complaint_about(std::string(1'000'000, '[')) != "");
}

TEST_CASE("json: many objects do not take quadratic time") {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) text += fmt::format("{}\"{}\": {{}}", i == 0 ? "" : ",", i);
  CHECK(parse_sorted_json(text + "}", "x").size() == 100'000);
}
