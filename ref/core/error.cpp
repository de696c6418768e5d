#include "ref/core/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dsllm {

Error::Error(const std::string& operation, const std::string& expected, const std::string& got)
    : std::runtime_error(fmt::format("{}: expected {}, got {}", operation, expected, got)) {}

FileError::FileError(const std::string& path, const std::string& place, const std::string& expected,
                     const std::string& got)
    : Error(place.empty() ? path : fmt::format("{}: {}", path, place), expected, got) {}

std::string describe_shape(const int64_t* extents, int n) {
  return fmt::format("[{}]", fmt::join(extents, extents + n, ", "));
}

void throw_shape_error(const char* operation, const char* argument, const int64_t* expected,
                       const int64_t* got, int n) {
  throw ShapeError(operation, fmt::format("{} {}", argument, describe_shape(expected, n)),
                   describe_shape(got, n));
}

}  // namespace dsllm
