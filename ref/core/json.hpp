// Strict JSON: what a file says twice, or says in the wrong type, is an error that names the place.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ref/core/json_fwd.hpp"

namespace dsllm {

// Parses text; throws FileError(path, "byte N", ...) for broken JSON, a key that stands twice in one object,
// nesting deeper than 64, or anything after the value.
Json parse_json(std::string_view text, const std::string& path);

// The same into sorted fields. Json looks a key up by going through all of them, so an object of 100,000 fields (a
// vocabulary) has to be read with this one.
using SortedJson = nlohmann::json;
SortedJson parse_sorted_json(std::string_view text, const std::string& path);

// Reads and parses a whole file.
Json read_json(const std::string& path);

}  // namespace dsllm
