// Errors that say which operation, what it expected and what came.
//
// Everything a user can cause throws one of these; assert() is for what no user can cause. A program prints what()
// on standard error and exits with 1 (UsageError: 2).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>

#include "ref/core/view.hpp"

namespace dsllm {

class Error : public std::runtime_error {
 public:
  // what(): "rmsnorm_forward: expected weight [64], got [63]"
  Error(const std::string& operation, const std::string& expected, const std::string& got);
};

class ShapeError : public Error {  // extents that do not fit together
  using Error::Error;
};
class ValueError : public Error {  // a number outside its range: an id past the vocabulary, a negative rate
  using Error::Error;
};
class ConfigError
    : public Error {  // operation is the field: "d_model: expected a multiple of n_heads = 8, got 100"
  using Error::Error;
};
class UsageError : public Error {  // options that contradict each other
  using Error::Error;
};

// A file that cannot be read, written or believed. place is a tensor's name, a line or a byte offset; may be empty.
// what(): "model.safetensors: tensor 'a.weight': expected offsets inside the 96 data bytes, got [80, 112]"
class FileError : public Error {
 public:
  FileError(const std::string& path, const std::string& place, const std::string& expected,
            const std::string& got);
};

// "[2, 3]"
std::string describe_shape(const int64_t* extents, int n);
template <class T, int N>
std::string describe_shape(const View<T, N>& v) {
  return describe_shape(v.extent, N);
}

// Throws ShapeError unless v has exactly these extents.
//   check_shape("rmsnorm_forward", "weight", weight, {d});
[[noreturn]] void throw_shape_error(const char* operation, const char* argument, const int64_t* expected,
                                    const int64_t* got, int n);
template <class T, int N>
void check_shape(const char* operation, const char* argument, const View<T, N>& v,
                 const std::type_identity_t<int64_t> (&expected)[N]) {
  for (int d = 0; d < N; ++d)
    if (v.extent[d] != expected[d]) throw_shape_error(operation, argument, expected, v.extent, N);
}

}  // namespace dsllm
