// What a fuzzer promises about input that the parser accepted.
#pragma once

#include <cstdio>
#include <cstdlib>

// assert() would be gone in an optimized build.
#define EXPECT(condition)                                                           \
  do {                                                                              \
    if (!(condition)) {                                                             \
      std::fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                 \
    }                                                                               \
  } while (false)
