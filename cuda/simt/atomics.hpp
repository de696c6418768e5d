// CUDA's atomic functions. Each returns what was there before. They are compiled in atomics.cpp, outside of the kernels, so
// that the inspector sees one atomic access and not its parts.
#pragma once

#include <cstdint>

#include "cuda/simt/half.hpp"

#define SIMT_ATOMICS(T)              \
  T atomicAdd(T* address, T value);  \
  T atomicExch(T* address, T value); \
  T atomicMin(T* address, T value);  \
  T atomicMax(T* address, T value);  \
  T atomicCAS(T* address, T compare, T value);
#define SIMT_ATOMIC_BITS(T)         \
  T atomicSub(T* address, T value); \
  T atomicAnd(T* address, T value); \
  T atomicOr(T* address, T value);  \
  T atomicXor(T* address, T value);
SIMT_ATOMICS(int)
SIMT_ATOMICS(unsigned)
SIMT_ATOMICS(unsigned long long)
SIMT_ATOMIC_BITS(int)
SIMT_ATOMIC_BITS(unsigned)
SIMT_ATOMIC_BITS(unsigned long long)
#undef SIMT_ATOMICS
#undef SIMT_ATOMIC_BITS

float atomicAdd(float* address, float value);
double atomicAdd(double* address, double value);
float atomicExch(float* address, float value);
long long atomicMin(long long* address, long long value);
long long atomicMax(long long* address, long long value);
// old >= value ? 0 : old + 1, and its opposite.
unsigned atomicInc(unsigned* address, unsigned value);
unsigned atomicDec(unsigned* address, unsigned value);
// Two numbers at once, each rounded by itself.
__nv_bfloat162 atomicAdd(__nv_bfloat162* address, __nv_bfloat162 value);
__half2 atomicAdd(__half2* address, __half2 value);
