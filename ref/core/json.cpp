#include "ref/core/json.hpp"

#include <fmt/format.h>

#include <unordered_set>
#include <vector>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"

namespace dsllm {

namespace {

template <class J>
J parse_strictly(std::string_view text, const std::string& path) {
  constexpr int max_depth = 64;
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int depth, typename J::parse_event_t event, J& value) {
    if (depth > max_depth)
      throw FileError(path, "", fmt::format("JSON nested at most {} deep", max_depth), "deeper nesting");
    if (event == J::parse_event_t::object_start) keys.emplace_back();
    if (event == J::parse_event_t::object_end) keys.pop_back();
    if (event == J::parse_event_t::key && !keys.back().insert(value.template get<std::string>()).second)
      throw FileError(path, fmt::format("key '{}'", value.template get<std::string>()), "one value for it",
                      "two");
    return true;
  };
  try {
    return J::parse(text, watch);
  } catch (const typename J::parse_error& e) {
    throw FileError(path, fmt::format("byte {}", e.byte), "valid JSON", e.what());
  }
}

}  // namespace

Json parse_json(std::string_view text, const std::string& path) {
  return parse_strictly<Json>(text, path);
}

SortedJson parse_sorted_json(std::string_view text, const std::string& path) {
  return parse_strictly<SortedJson>(text, path);
}

Json read_json(const std::string& path) {
  return parse_json(read_file(path), path);
}

}  // namespace dsllm
