// Tensor<T, N>: a View that owns its memory, zero-filled and aligned to 64 bytes (one cache line, one AVX-512
// register). It moves and does not copy; clone() says so where a copy is meant.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#include "ref/core/error.hpp"
#include "ref/core/view.hpp"

namespace dsllm {

template <class T, int N>
class Tensor : public View<T, N> {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Tensor() = default;

  // Throws ValueError for a negative extent or a size that overflows, std::bad_alloc when memory runs out.
  template <class... Extent>
  requires(sizeof...(Extent) == N) explicit Tensor(Extent... extents)
      : View<T, N>(nullptr, {static_cast<int64_t>(extents)...}) {
    int64_t bytes = sizeof(T);
    for (const int64_t n : this->extent) {
      if (n < 0 || __builtin_mul_overflow(bytes, n, &bytes) || bytes > INT64_MAX - 64)
        throw ValueError("Tensor", "extents whose bytes fit in 63 bits", describe_shape(*this));
    }
    if (bytes == 0) return;
    // calloc gives large blocks as fresh pages of the system, which are zero without being touched: a cache for 4096
    // tokens costs memory only for the tokens that come.
    memory_.reset(std::calloc(static_cast<size_t>(bytes) + 63, 1));
    if (!memory_) throw std::bad_alloc();
    const uintptr_t address = (reinterpret_cast<uintptr_t>(memory_.get()) + 63) / 64 * 64;
    this->data = reinterpret_cast<T*>(address);
  }

  Tensor(Tensor&& other) noexcept : View<T, N>(other), memory_(std::move(other.memory_)) { other.forget(); }
  Tensor& operator=(Tensor&& other) noexcept {
    if (this != &other) {
      static_cast<View<T, N>&>(*this) = other;
      memory_ = std::move(other.memory_);
      other.forget();
    }
    return *this;
  }

  Tensor clone() const {
    Tensor copy = like(*this);
    if (this->size() > 0) std::memcpy(copy.data, this->data, static_cast<size_t>(this->size()) * sizeof(T));
    return copy;
  }

  // A zero-filled tensor of the same extents.
  static Tensor like(const View<const T, N>& shape) {
    return make(shape, std::make_index_sequence<static_cast<size_t>(N)>());
  }

  void zero() {
    if (this->size() > 0)
      std::memset(static_cast<void*>(this->data), 0, static_cast<size_t>(this->size()) * sizeof(T));
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };

  template <size_t... D>
  static Tensor make(const View<const T, N>& shape, std::index_sequence<D...>) {
    return Tensor(shape.extent[D]...);
  }

  void forget() {
    this->data = nullptr;
    for (int64_t& n : this->extent) n = 0;
  }

  std::unique_ptr<void, Free> memory_;
};

}  // namespace dsllm
