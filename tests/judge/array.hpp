// An argument in memory that shows what was done to it.
//
// The elements lie between two guards. Guards and elements begin as a NaN that no arithmetic produces, so that
// an element that was never written, a write past the end and a read past the end all show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ref/core/dtype.hpp"
#include "ref/core/view.hpp"

namespace dsllm::tests {

class GuardedArray {
 public:
  GuardedArray(DType dtype, std::vector<int64_t> shape);

  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t size() const { return size_; }

  // Element i as a double, exactly; set rounds to nearest.
  double get(int64_t i) const;
  void set(int64_t i, double value);
  void set_all(std::span<const double> values);
  std::vector<double> get_all() const;

  // Throws ValueError unless T and N are those of the array.
  template <class T, int N>
  View<T, N> view() {
    check(dtype_of<T>, N);
    View<T, N> v;
    v.data = reinterpret_cast<T*>(elements());
    for (int d = 0; d < N; ++d) v.extent[d] = shape_[static_cast<size_t>(d)];
    return v;
  }

  std::byte* elements() { return bytes() + guard; }
  bool guards_intact() const;
  bool was_written(int64_t i) const;
  // Everything, guards included: equal before and after for an input.
  bool same_bytes(const GuardedArray& other) const;
  // Element i alone, bit for bit. Both have the same type.
  bool same_element(const GuardedArray& other, int64_t i) const;

  // Guard, elements, guard: what a copy into other memory takes along to show the same there.
  std::span<std::byte> all_bytes() { return {bytes(), byte_count_}; }
  std::span<std::byte> element_bytes() { return {elements(), byte_count_ - 2 * guard}; }
  static constexpr size_t guard =
      4096;  // bytes on each side, so that a wrong row of a small matrix lands in it

 private:
  struct alignas(64) Line {  // as Tensor aligns its memory
    std::byte byte[64];
  };

  void check(DType dtype, int n) const;
  std::byte* bytes() { return lines_.data()->byte; }
  const std::byte* bytes() const { return lines_.data()->byte; }

  DType dtype_;
  std::vector<int64_t> shape_;
  int64_t size_;
  size_t byte_count_;
  std::vector<Line> lines_;
};

}  // namespace dsllm::tests
