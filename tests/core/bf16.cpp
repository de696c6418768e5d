#include "ref/core/bf16.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

// CUDA's own types are the judge where its headers are installed (no GPU is needed).
#if __has_include(<cuda_bf16.h>) && __has_include(<cuda_fp16.h>)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define DSLLM_CUDA_TYPES
#endif

using namespace dsllm;

static float bits_to_float(uint32_t bits) {
  return std::bit_cast<float>(bits);
}
static uint32_t bits_of(float x) {
  return std::bit_cast<uint32_t>(x);
}

TEST_CASE("bf16: every one of the 65536 patterns is the float with the same upper half, and converts back") {
  for (uint32_t i = 0; i < 65536; ++i) {
    bf16 x;
    x.bits = static_cast<uint16_t>(i);
    CAPTURE(i);
    REQUIRE(bits_of(x) == i << 16);
    const bool nan = (i & 0x7fff) > 0x7f80;
    REQUIRE(bf16(static_cast<float>(x)).bits == (nan ? 0x7fff : i));
  }
}

TEST_CASE("bf16: rounds to nearest, ties to even") {
  CHECK(bf16(bits_to_float(0x3f808000)).bits == 0x3f80);  // tie, even below
  CHECK(bf16(bits_to_float(0x3f818000)).bits == 0x3f82);  // tie, even above
  CHECK(bf16(bits_to_float(0x3f808001)).bits == 0x3f81);  // just above the tie
  CHECK(bf16(bits_to_float(0x3f817fff)).bits == 0x3f81);  // just below the tie
  CHECK(bf16(bits_to_float(0x3fffffff)).bits == 0x4000);  // the carry enters the exponent
  CHECK(bf16(bits_to_float(0x7f7fffff)).bits == 0x7f80);  // the largest float becomes infinity
  CHECK(bf16(bits_to_float(0xff7f7fff)).bits == 0xff7f);  // and this one stays finite
  CHECK(bf16(bits_to_float(0x00008000)).bits == 0x0000);  // subnormals, the same rule
  CHECK(bf16(bits_to_float(0x00018000)).bits == 0x0002);
  CHECK(bf16(bits_to_float(0x00008001)).bits == 0x0001);
  CHECK(bf16(-0.0f).bits == 0x8000);
  CHECK(bf16(-std::numeric_limits<float>::infinity()).bits == 0xff80);
  for (const uint32_t nan : {0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffc00000u})
    CHECK(bf16(bits_to_float(nan)).bits == 0x7fff);
}

TEST_CASE("f16: every pattern to float, from the definition") {
  for (uint32_t i = 0; i < 65536; ++i) {
    const int exponent = static_cast<int>(i >> 10 & 31), mantissa = static_cast<int>(i & 1023);
    const double sign = i & 0x8000 ? -1 : 1;
    const double value =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    const float x = f16_to_float(f16{static_cast<uint16_t>(i)});
    CAPTURE(i);
    if (exponent < 31) {
      REQUIRE(static_cast<double>(x) == sign * value);
      REQUIRE(std::signbit(x) == (sign < 0));
    } else {
      REQUIRE((mantissa == 0 ? std::isinf(x) : std::isnan(x)));
    }
    if (!std::isnan(x)) REQUIRE(float_to_f16(x).bits == i);
  }
}

TEST_CASE("f16: rounds to nearest, ties to even") {
  // Between two neighbours the middle goes to the even one, its neighbours to theirs; all positive finite pairs.
  for (uint32_t i = 0; i < 0x7bff; ++i) {
    const float low = f16_to_float(f16{static_cast<uint16_t>(i)});
    const float high = f16_to_float(f16{static_cast<uint16_t>(i + 1)});
    const float middle = low + (high - low) / 2;  // exact: a half has 13 bits fewer
    CAPTURE(i);
    for (const uint32_t sign : {0u, 0x8000u}) {
      const float s = sign ? -1.0f : 1.0f;
      REQUIRE(float_to_f16(s * middle).bits == (sign | (i % 2 == 0 ? i : i + 1)));
      REQUIRE(float_to_f16(s * std::nextafter(middle, 0.0f)).bits == (sign | i));
      REQUIRE(float_to_f16(s * std::nextafter(middle, 1e9f)).bits == (sign | (i + 1)));
    }
  }
  CHECK(float_to_f16(std::nextafter(65520.0f, 0.0f)).bits == 0x7bff);  // the largest that does not overflow
  CHECK(float_to_f16(65520.0f).bits == 0x7c00);
  CHECK(float_to_f16(-1e30f).bits == 0xfc00);
  CHECK(float_to_f16(0x1p-149f).bits == 0);
  CHECK(float_to_f16(std::numeric_limits<float>::quiet_NaN()).bits == 0x7fff);
}

TEST_CASE("bf16, f16: the same bits as CUDA's types") {
#ifdef DSLLM_CUDA_TYPES
  const auto check = [](uint32_t pattern) {
    const float x = bits_to_float(pattern);
    const uint16_t b = static_cast<__nv_bfloat16_raw>(__float2bfloat16_rn(x)).x;
    const uint16_t h = static_cast<__half_raw>(__float2half_rn(x)).x;
    if (bf16(x).bits == b && float_to_f16(x).bits == h) return true;
    MESSAGE("pattern " << pattern << ": bf16 " << bf16(x).bits << " (CUDA " << b << "), f16 "
                       << float_to_f16(x).bits << " (CUDA " << h << ")");
    return false;
  };
  // A step that is prime to 2^32 meets every pattern of the lower bits and every exponent.
  for (uint64_t pattern = 0; pattern < uint64_t{1} << 32; pattern += 1021)
    REQUIRE(check(static_cast<uint32_t>(pattern)));
  // Around every tie: of bf16 in the middle of the lower 16 bits, of f16 in the middle of the lower 13 (subnormal
  // halves have their ties elsewhere: the test above goes through those).
  for (uint32_t upper = 0; upper < 65536; ++upper)
    for (const uint32_t lower :
         {0x0u, 0x7fffu, 0x8000u, 0x8001u, 0x0fffu, 0x1000u, 0x1001u, 0x3000u, 0xffffu})
      REQUIRE(check(upper << 16 | lower));
  for (uint32_t i = 0; i < 65536; ++i) {
    const float b = __bfloat162float(__nv_bfloat16(__nv_bfloat16_raw{static_cast<unsigned short>(i)}));
    const float h = __half2float(__half(__half_raw{static_cast<unsigned short>(i)}));
    bf16 x;
    x.bits = static_cast<uint16_t>(i);
    CAPTURE(i);
    REQUIRE((bits_of(x) == bits_of(b) || (std::isnan(b) && std::isnan(static_cast<float>(x)))));
    const float y = f16_to_float(f16{static_cast<uint16_t>(i)});
    REQUIRE((bits_of(y) == bits_of(h) || (std::isnan(h) && std::isnan(y))));
  }
#else
  MESSAGE("skipped: cuda_bf16.h is not installed");
#endif
}
