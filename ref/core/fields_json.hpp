// Config structs to and from JSON, by their list of fields.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <type_traits>

#include "ref/core/error.hpp"
#include "ref/core/fields.hpp"
#include "ref/core/json.hpp"

namespace dsllm {

template <class Config>
Json fields_to_json(const Config& config) {
  Json json = Json::object();
  visit_fields(config, [&](const Field& field, const auto& value) { json[field.name] = value; });
  return json;
}

namespace detail {

template <class T>
void read_field(const Json& json, const Field& field, T& value, const std::string& path) {
  const auto fail = [&](const char* type) {
    throw FileError(path, fmt::format("field '{}'", field.name), fmt::format("{} ({})", type, field.meaning),
                    json.dump().substr(0, 60));
  };
  if constexpr (std::is_same_v<T, bool>) {
    if (!json.is_boolean()) fail("true or false");
  } else if constexpr (std::is_integral_v<T>) {
    // 4096.0 is a whole number; 1e30 is none that fits.
    if (json.is_number_float()) {
      const double x = json.template get<double>();
      if (!(std::floor(x) == x && std::abs(x) < 0x1p53)) fail("a whole number");
      value = static_cast<T>(x);
      return;
    }
    if (!json.is_number_integer() || (json.is_number_unsigned() && json.template get<uint64_t>() > INT64_MAX))
      fail("a whole number");
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!json.is_number()) fail("a number");
  } else {
    if (!json.is_string()) fail("a string");
  }
  value = json.template get<T>();
}

}  // namespace detail

// Overwrites the fields that json names and leaves the others as they are. Throws FileError for a value of the wrong
// type and ConfigError for a field that the config does not have. Ranges are checked by validate(), not here.
template <class Config>
void read_fields(const Json& json, Config& config, const std::string& path) {
  if (!json.is_object()) throw FileError(path, "", "a JSON object", json.dump().substr(0, 60));
  std::string known;
  size_t found = 0;
  visit_fields(config, [&](const Field& field, auto& value) {
    known += (known.empty() ? "" : ", ") + std::string(field.name);
    const auto it = json.find(field.name);
    if (it == json.end()) return;
    ++found;
    detail::read_field(*it, field, value, path);
  });
  if (found == json.size()) return;
  for (const auto& [key, value] : json.items()) {
    bool is_known = false;
    // A name of its own: clang 14 lets no lambda capture a part of a structured binding.
    visit_fields(config,
                 [&, &name = key](const Field& field, auto&) { is_known = is_known || name == field.name; });
    if (!is_known)
      throw ConfigError(fmt::format("{}: field '{}'", path, key), "one of " + known, "an unknown field");
  }
}

}  // namespace dsllm
