#include "ref/core/json.hpp"

#include <fmt/format.h>

#include <unordered_set>
#include <vector>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"

namespace dsllm {

Json parse_json(std::string_view text, const std::string& path) {
  constexpr int max_depth = 64;
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > max_depth)
      throw FileError(path, "", fmt::format("JSON nested at most {} deep", max_depth), "deeper nesting");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
      throw FileError(path, fmt::format("key '{}'", value.get<std::string>()), "one value for it", "two");
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& e) {
    throw FileError(path, fmt::format("byte {}", e.byte), "valid JSON", e.what());
  }
}

Json read_json(const std::string& path) {
  return parse_json(read_file(path), path);
}

}  // namespace dsllm
