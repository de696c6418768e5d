// The element types that files hold, by the names that safetensors gives them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "ref/core/bf16.hpp"

namespace dsllm {

enum class DType { f64, f32, bf16, f16, i64, u64, i32, u32, i16, u16, i8, u8, boolean };

struct DTypeInfo {
  DType dtype;
  std::string_view name;  // in a safetensors header
  std::string_view npy;   // in an .npy header; bf16 has none and is written as float
  int64_t size;           // bytes per element
};

inline constexpr std::array<DTypeInfo, 13> dtypes{{{DType::f64, "F64", "<f8", 8},
                                                   {DType::f32, "F32", "<f4", 4},
                                                   {DType::bf16, "BF16", "", 2},
                                                   {DType::f16, "F16", "<f2", 2},
                                                   {DType::i64, "I64", "<i8", 8},
                                                   {DType::u64, "U64", "<u8", 8},
                                                   {DType::i32, "I32", "<i4", 4},
                                                   {DType::u32, "U32", "<u4", 4},
                                                   {DType::i16, "I16", "<i2", 2},
                                                   {DType::u16, "U16", "<u2", 2},
                                                   {DType::i8, "I8", "|i1", 1},
                                                   {DType::u8, "U8", "|u1", 1},
                                                   {DType::boolean, "BOOL", "|b1", 1}}};

constexpr const DTypeInfo& describe(DType dtype) {
  return dtypes[static_cast<size_t>(dtype)];
}
constexpr bool dtypes_are_in_order() {
  for (size_t i = 0; i < dtypes.size(); ++i)
    if (static_cast<size_t>(dtypes[i].dtype) != i) return false;
  return true;
}
static_assert(dtypes_are_in_order());

namespace detail {
template <class T>
constexpr std::optional<DType> find_dtype() {
  if constexpr (std::is_same_v<T, double>) return DType::f64;
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  if constexpr (std::is_same_v<T, bf16>) return DType::bf16;
  if constexpr (std::is_same_v<T, f16>) return DType::f16;
  if constexpr (std::is_same_v<T, bool>) return DType::boolean;
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    constexpr bool is_signed = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 8) return is_signed ? DType::i64 : DType::u64;
    if constexpr (sizeof(T) == 4) return is_signed ? DType::i32 : DType::u32;
    if constexpr (sizeof(T) == 2) return is_signed ? DType::i16 : DType::u16;
    if constexpr (sizeof(T) == 1) return is_signed ? DType::i8 : DType::u8;
  }
  return std::nullopt;
}
}  // namespace detail

// dtype_of<float> == DType::f32; does not compile for a type that no file holds.
template <class T>
inline constexpr DType dtype_of = detail::find_dtype<T>().value();

// The bytes of an array, or nothing if an extent is negative or the product does not fit in 63 bits. No extents at
// all mean a scalar: one element.
inline std::optional<int64_t> byte_count(DType dtype, std::span<const int64_t> shape) {
  int64_t bytes = describe(dtype).size;
  bool empty = false, overflow = false;
  for (const int64_t n : shape) {
    if (n < 0) return std::nullopt;
    if (n == 0) empty = true;
    if (n > 0 && __builtin_mul_overflow(bytes, n, &bytes)) overflow = true;
  }
  // [2^40, 2^40, 0] is refused too: other extents of it would overflow wherever they are multiplied first.
  if (overflow) return std::nullopt;
  return empty ? 0 : bytes;
}

}  // namespace dsllm
