#include "ref/core/fields.hpp"

#include <fmt/format.h>

#include "ref/core/error.hpp"

namespace dsllm {

void throw_range_error(const Field& field, double value) {
  throw ConfigError(field.name, fmt::format("{} from {} to {}", field.meaning, field.minimum, field.maximum),
                    fmt::format("{}", value));
}

}  // namespace dsllm
