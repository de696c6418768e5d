// Strict JSON: what a file says twice, or says in the wrong type, is an error that names the place.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace dsllm {

using Json =
    nlohmann::ordered_json;  // keeps the order of fields, so that a file that is read and written stays

// Parses text; throws FileError(path, "byte N", ...) for broken JSON, a key that stands twice in one object,
// nesting deeper than 64, or anything after the value.
Json parse_json(std::string_view text, const std::string& path);

// Reads and parses a whole file.
Json read_json(const std::string& path);

}  // namespace dsllm
