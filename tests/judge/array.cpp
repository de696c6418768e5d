#include "tests/judge/array.hpp"

#include <fmt/format.h>

#include <cstring>

#include "ref/core/error.hpp"

namespace dsllm::tests {
namespace {

// 0xfff5fff5...: a NaN as bf16, f16, float and double, wherever it is cut.
constexpr std::byte pattern(size_t i) {
  return std::byte{i % 2 == 0 ? uint8_t{0xf5} : uint8_t{0xff}};
}

}  // namespace

GuardedArray::GuardedArray(DType dtype, std::vector<int64_t> shape)
    : dtype_(dtype), shape_(std::move(shape)), size_(1) {
  for (const int64_t n : shape_) size_ *= n;
  byte_count_ = 2 * guard + static_cast<size_t>(size_ * describe(dtype).size);
  lines_.resize((byte_count_ + sizeof(Line) - 1) / sizeof(Line));
  for (size_t i = 0; i < byte_count_; ++i) bytes()[i] = pattern(i);
}

double GuardedArray::get(int64_t i) const {
  const std::byte* p = bytes() + guard + i * describe(dtype_).size;
  const auto load = [&](auto element) {
    std::memcpy(&element, p, sizeof(element));
    return element;
  };
  switch (dtype_) {
    case DType::f64:
      return load(double{});
    case DType::f32:
      return load(float{});
    case DType::bf16:
      return load(bf16{});
    case DType::i32:
      return load(int32_t{});
    default:
      throw ValueError("GuardedArray", "F64, F32, BF16 or I32", std::string(describe(dtype_).name));
  }
}

void GuardedArray::set(int64_t i, double value) {
  std::byte* p = bytes() + guard + i * describe(dtype_).size;
  const auto store = [&](auto element) { std::memcpy(p, &element, sizeof(element)); };
  switch (dtype_) {
    case DType::f64:
      return store(value);
    case DType::f32:
      return store(static_cast<float>(value));
    case DType::bf16:
      return store(bf16(static_cast<float>(value)));
    case DType::i32:
      return store(static_cast<int32_t>(value));
    default:
      throw ValueError("GuardedArray", "F64, F32, BF16 or I32", std::string(describe(dtype_).name));
  }
}

void GuardedArray::set_all(std::span<const double> values) {
  if (static_cast<int64_t>(values.size()) != size_)
    throw ShapeError("GuardedArray", fmt::format("{} values", size_), fmt::to_string(values.size()));
  for (int64_t i = 0; i < size_; ++i) set(i, values[static_cast<size_t>(i)]);
}

std::vector<double> GuardedArray::get_all() const {
  std::vector<double> values(static_cast<size_t>(size_));
  for (int64_t i = 0; i < size_; ++i) values[static_cast<size_t>(i)] = get(i);
  return values;
}

bool GuardedArray::guards_intact() const {
  for (size_t i = 0; i < guard; ++i)
    if (bytes()[i] != pattern(i)) return false;
  for (size_t i = byte_count_ - guard; i < byte_count_; ++i)
    if (bytes()[i] != pattern(i)) return false;
  return true;
}

bool GuardedArray::same_bytes(const GuardedArray& other) const {
  return byte_count_ == other.byte_count_ && std::memcmp(bytes(), other.bytes(), byte_count_) == 0;
}

bool GuardedArray::same_element(const GuardedArray& other, int64_t i) const {
  const size_t width = static_cast<size_t>(describe(dtype_).size),
               at = guard + static_cast<size_t>(i) * width;
  return std::memcmp(bytes() + at, other.bytes() + at, width) == 0;
}

bool GuardedArray::was_written(int64_t i) const {
  const size_t width = static_cast<size_t>(describe(dtype_).size);
  const size_t begin = guard + static_cast<size_t>(i) * width;
  for (size_t b = begin; b < begin + width; ++b)
    if (bytes()[b] != pattern(b)) return true;
  return false;
}

void GuardedArray::check(DType dtype, int n) const {
  if (dtype != dtype_ || n != static_cast<int>(shape_.size()))
    throw ValueError("GuardedArray", fmt::format("{} of rank {}", describe(dtype_).name, shape_.size()),
                     fmt::format("{} of rank {}", describe(dtype).name, n));
}

}  // namespace dsllm::tests
