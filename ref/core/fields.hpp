// One list of fields per config struct, walked by everything that reads, writes, prints or checks it (JSON: see
// fields_json.hpp).
//
// A config is a plain struct with defaults and a friend-free function
//
//     template <class Config, class Visit> requires is_config<Config, ModelConfig>
//     void visit_fields(Config& c, Visit&& visit) { visit(Field{"n_layers", "blocks", 1, 1000}, c.n_layers); ... }
//
// whose values are int64_t, double, bool or std::string.
#pragma once

#include <limits>
#include <string>
#include <type_traits>

namespace dsllm {

struct Field {
  const char* name;
  const char* meaning;
  double minimum = -std::numeric_limits<double>::infinity();  // of a number; both ends are allowed
  double maximum = std::numeric_limits<double>::infinity();
};

template <class Config, class Of>
inline constexpr bool is_config = std::is_same_v<std::remove_const_t<Config>, Of>;

// Throws ConfigError for a value outside the range of its field.
[[noreturn]] void throw_range_error(const Field& field, double value);

// Throws ConfigError, naming the field, its value and the range, for a number outside it (NaN is outside).
template <class Config>
void check_ranges(const Config& config) {
  visit_fields(config, [](const Field& field, const auto& value) {
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(value)>>) {
      const double x = static_cast<double>(value);
      if (!(x >= field.minimum && x <= field.maximum)) throw_range_error(field, x);
    }
  });
}

}  // namespace dsllm
