// 16 bytes at once: the widest load and store of a thread, so that a warp moves 512 bytes with one request; and loads of 8.
#pragma once

#include <cstdint>
#include <cstring>

#include "cuda/core/kernel.hpp"
#if !defined(__CUDACC__)
#include "cuda/simt/checks.hpp"
#include "cuda/simt/observer.hpp"
#endif

namespace dsllm::cuda {

// As many T as fit in 16 bytes: 4 floats, 8 bf16; or in 8.
template <class T, int Bytes = 16>
struct alignas(Bytes) Vector {
  static constexpr int size = Bytes / static_cast<int>(sizeof(T));
  T element[size];

  __device__ T& operator[](int i) { return element[i]; }
  __device__ const T& operator[](int i) const { return element[i]; }
};

// p must be a multiple of 16 bytes.
template <class T>
__device__ Vector<T> load16(const T* p);
template <class T>
__device__ void store16(T* p, const Vector<T>& v);
// p must be a multiple of 8 bytes: where 16 would leave gaps between the lanes, or would be too many registers.
template <class T>
__device__ Vector<T, 8> load8(const T* p);

// Whether the addresses of both and a row length of n elements allow 16-byte accesses to every row.
template <class T>
__host__ bool fits16(const T* p, int64_t n) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0 && n % Vector<T>::size == 0;
}

#if defined(__CUDACC__)

template <class T>
__device__ Vector<T> load16(const T* p) {
  return *reinterpret_cast<const Vector<T>*>(p);
}
template <class T>
__device__ void store16(T* p, const Vector<T>& v) {
  *reinterpret_cast<Vector<T>*>(p) = v;
}
template <class T>
__device__ Vector<T, 8> load8(const T* p) {
  return *reinterpret_cast<const Vector<T, 8>*>(p);
}

#else

namespace simt {
// In vector.cpp: checked, and one access of 16 or 8 bytes to the inspector. (Compilers split such copies as they like.) Their
// callers below are inlined always, so that the access belongs to a line of the kernel.
void load16(void* to, const void* from);
void store16(void* to, const void* from);
void load8(void* to, const void* from);

// Whether there is nothing to say of an access, which is then the kernel's own.
inline bool unremarkable(const void* p, uintptr_t bytes) {
  return observer == nullptr && reinterpret_cast<uintptr_t>(p) % bytes == 0;
}
}  // namespace simt

template <class T>
__forceinline__ Vector<T> load16(const T* p) {
  Vector<T> v;
  if (simt::unremarkable(p, 16)) [[likely]] {
    std::memcpy(&v, p, 16);
  } else {
    Vector<T> checked;
    simt::load16(&checked, p);
    v = checked;
  }
  return v;
}
template <class T>
__forceinline__ void store16(T* p, const Vector<T>& v) {
  if (simt::unremarkable(p, 16)) [[likely]] {
    std::memcpy(p, &v, 16);
  } else {
    const Vector<T> checked = v;
    simt::store16(p, &checked);
  }
}
template <class T>
__forceinline__ Vector<T, 8> load8(const T* p) {
  Vector<T, 8> v;
  if (simt::unremarkable(p, 8)) [[likely]] {
    std::memcpy(&v, p, 8);
  } else {
    Vector<T, 8> checked;
    simt::load8(&checked, p);
    v = checked;
  }
  return v;
}

#endif

}  // namespace dsllm::cuda
