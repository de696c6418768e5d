// bf16 and f16: the same bits as CUDA's own headers give, and a multiply-add that rounds once.
#include <random>

#include "tests/simt/cuda_types.hpp"
#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

template <class H>
H from_bits(uint16_t bits) {
  return std::bit_cast<H>(bits);
}
template <class H>
uint16_t bits_of(H x) {
  return std::bit_cast<uint16_t>(x);
}

template <class H>
uint16_t apply(HalfOp op, uint16_t a_bits, uint16_t b_bits) {
  const H a = from_bits<H>(a_bits), b = from_bits<H>(b_bits);
  switch (op) {
    case HalfOp::add:
      return bits_of(__hadd(a, b));
    case HalfOp::sub:
      return bits_of(__hsub(a, b));
    case HalfOp::mul:
      return bits_of(__hmul(a, b));
    case HalfOp::div:
      return bits_of(__hdiv(a, b));
    case HalfOp::neg:
      return bits_of(__hneg(a));
    case HalfOp::max:
      return bits_of(__hmax(a, b));
    case HalfOp::min:
      return bits_of(__hmin(a, b));
    case HalfOp::lt:
      return __hlt(a, b);
    case HalfOp::gt:
      return __hgt(a, b);
    case HalfOp::eq:
      return __heq(a, b);
    default:
      return __hisnan(a);
  }
}

template <class H>
constexpr bool is_bf16 = std::is_same_v<H, __nv_bfloat16>;
template <class H>
constexpr uint16_t infinity = is_bf16<H> ? 0x7f80 : 0x7c00;
template <class H>
bool is_nan(uint16_t bits) {
  return (bits & 0x7fff) > infinity<H>;
}

// The same bits; any NaN for a NaN.
template <class H>
bool agrees(HalfOp op, uint16_t a, uint16_t b) {
  const uint16_t ours = apply<H>(op, a, b), cuda = is_bf16<H> ? cuda_bf16(op, a, b) : cuda_f16(op, a, b);
  if (ours == cuda || (op < HalfOp::lt && is_nan<H>(ours) && is_nan<H>(cuda))) return true;
  MESSAGE(fmt::format("{} operation {}: {:#06x}, {:#06x} give {:#06x}, CUDA's {:#06x}",
                      is_bf16<H> ? "bf16" : "f16", static_cast<int>(op), a, b, ours, cuda));
  return false;
}

}  // namespace

TEST_CASE_TEMPLATE("bf16 and f16 arithmetic: the bits of CUDA's headers", H, __nv_bfloat16, __half) {
  if (!cuda_headers_installed()) {
    MESSAGE("skipped: cuda_bf16.h is not installed");
    return;
  }
  const uint16_t inf = infinity<H>, one = is_bf16<H> ? 0x3f80 : 0x3c00;
  std::vector<uint16_t> others = {0,
                                  1,
                                  2,
                                  3,
                                  one,
                                  inf,
                                  static_cast<uint16_t>(one + 1),
                                  static_cast<uint16_t>(one - 1),
                                  static_cast<uint16_t>(inf - 1),
                                  static_cast<uint16_t>(inf + 1),
                                  0x7fff,
                                  0x0080,
                                  0x0400,
                                  static_cast<uint16_t>(inf - one)};
  for (size_t i = others.size(); i-- > 0;) others.push_back(others[i] | 0x8000);
  std::mt19937 random(1);
  for (int i = 0; i < 12; ++i) others.push_back(static_cast<uint16_t>(random()));
  for (int op = 0; op <= static_cast<int>(HalfOp::isnan); ++op) {
    for (uint32_t a = 0; a < 65536; ++a)
      for (const uint16_t b : others)
        if (!agrees<H>(HalfOp{op}, static_cast<uint16_t>(a), b)) FAIL("other bits than CUDA's");
    for (int i = 0; i < 1'000'000; ++i) {
      const uint32_t pair = static_cast<uint32_t>(random());
      if (!agrees<H>(HalfOp{op}, static_cast<uint16_t>(pair), static_cast<uint16_t>(pair >> 16)))
        FAIL("other bits than CUDA's");
    }
  }
}

namespace {

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

// mantissa * 2^exponent, exactly.
struct Exact {
  int128 mantissa;
  int exponent;
};

template <class H>
constexpr int precision = is_bf16<H> ? 8 : 11;  // bits of the mantissa with the leading one
template <class H>
constexpr int lowest = is_bf16<H> ? -133 : -24;  // the smallest subnormal is 2^lowest

template <class H>
Exact exact(uint16_t bits) {
  const int field = (bits & 0x7fff) >> (precision<H> - 1), low = bits & ((1 << (precision<H> - 1)) - 1);
  const int mantissa = field == 0 ? low : low | 1 << (precision<H> - 1);
  return {bits & 0x8000 ? -mantissa : mantissa, lowest<H> + std::max(field, 1) - 1};
}

// a b + c in whole numbers. Where the exponents lie too far apart for 128 bits, the small one only says in which direction the
// big one is missed.
Exact multiply_add(Exact a, Exact b, Exact c) {
  Exact big{a.mantissa * b.mantissa, a.exponent + b.exponent}, small = c;
  if (big.mantissa == 0) return c;
  if (small.mantissa == 0) return big;
  if (small.exponent > big.exponent) std::swap(big, small);
  const int distance = big.exponent - small.exponent;
  if (distance <= 80) return {(big.mantissa << distance) + small.mantissa, small.exponent};
  return {(big.mantissa << 64) + (small.mantissa > 0 ? 1 : -1), big.exponent - 64};
}

// To nearest, ties to even.
template <class H>
uint16_t round_to(Exact x) {
  const uint16_t sign = x.mantissa < 0 ? 0x8000 : 0;
  auto magnitude = static_cast<uint128>(x.mantissa < 0 ? -x.mantissa : x.mantissa);
  int top = -1;
  while (top < 126 && magnitude >> (top + 1) != 0) ++top;
  const int unit = std::max(lowest<H>, x.exponent + top - precision<H> + 1);
  const int shift = unit - x.exponent;
  if (shift > top + 1) {
    magnitude = 0;  // less than half of the smallest number
  } else if (shift > 0) {
    const auto half = static_cast<uint128>(1) << (shift - 1);
    const auto rest = magnitude & ((half << 1) - 1);
    magnitude >>= shift;
    if (rest > half || (rest == half && magnitude % 2 == 1)) ++magnitude;
  } else {
    magnitude <<= -shift;
  }
  // A mantissa with its leading one counts the exponent up by one, and so does a carry.
  const int64_t bits = (int64_t{unit - lowest<H>} << (precision<H> - 1)) + static_cast<int64_t>(magnitude);
  return sign | static_cast<uint16_t>(std::min<int64_t>(bits, infinity<H>));
}

template <class H>
bool rounds_once(uint16_t a, uint16_t b, uint16_t c) {
  const uint16_t got = bits_of(__hfma(from_bits<H>(a), from_bits<H>(b), from_bits<H>(c)));
  const auto finite = [](uint16_t bits) { return (bits & 0x7fff) < infinity<H>; };
  uint16_t expected;
  if (!finite(a) || !finite(b) || !finite(c)) {
    // Infinities and NaN: what they give does not depend on rounding, except that only an infinity makes one here.
    const double x =
        double{float{from_bits<H>(a)}} * double{float{from_bits<H>(b)}} + double{float{from_bits<H>(c)}};
    expected = std::isnan(x) ? 0x7fff : x > 0 ? infinity<H> : infinity<H> | 0x8000;
    if (std::isnan(x)) return is_nan<H>(got);
  } else {
    const Exact sum = multiply_add(exact<H>(a), exact<H>(b), exact<H>(c));
    expected = round_to<H>(sum);
    // An exact zero is positive, unless both parts are negative zeros.
    if (sum.mantissa == 0) expected = (c & 0x7fff) == 0 ? (a ^ b) & c & 0x8000 : 0;
  }
  if (got == expected) return true;
  MESSAGE(fmt::format("{:#06x} * {:#06x} + {:#06x}: {:#06x} in place of {:#06x}", a, b, c, got, expected));
  return false;
}

}  // namespace

TEST_CASE_TEMPLATE("__hfma rounds once", H, __nv_bfloat16, __half) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 3'000'000; ++i) {
    const uint64_t r = random();
    REQUIRE(rounds_once<H>(static_cast<uint16_t>(r), static_cast<uint16_t>(r >> 16),
                           static_cast<uint16_t>(r >> 32)));
  }
  // c around the product, where bits cancel; and a product that lies on a tie which a tiny c decides.
  for (int i = 0; i < 3'000'000; ++i) {
    const uint64_t r = random();
    const auto a = static_cast<uint16_t>(r), b = static_cast<uint16_t>(r >> 16);
    const uint16_t product = bits_of(__hmul(from_bits<H>(a), from_bits<H>(b)));
    const auto near = static_cast<uint16_t>((product ^ 0x8000) + static_cast<int>(r >> 32 & 7) - 3);
    const auto tiny = static_cast<uint16_t>((r >> 40 & 0x8000) | (r >> 32 & 3));
    REQUIRE(rounds_once<H>(a, b, near));
    REQUIRE(rounds_once<H>(a, b, tiny));
  }
  // Such a tie: (1 + 2^-k) (1 + 2^-k) = 1 + 2^(1-k) + 2^-2k with k half of the bits.
  const auto number = [](float x) { return bits_of(H(x)); };
  const float step = is_bf16<H> ? 0x1p-4f : 0x1p-6f;
  for (const float tiny : {0.0f, 0x1p-24f, -0x1p-24f})
    CHECK(rounds_once<H>(number(1 + step), number(1 + step), number(tiny)));
}

TEST_CASE("conversions and pairs") {
  CHECK(__bfloat162float(__float2bfloat16(3.14159f)) == 3.140625f);
  CHECK(__half2float(__float2half_rn(3.14159f)) == 3.140625f);
  const __nv_bfloat162 b = __floats2bfloat162_rn(1, 2);
  const __half2 h = __floats2half2_rn(1, 2);
  CHECK(__low2float(b) == 1);
  CHECK(__high2float(b) == 2);
  CHECK(std::bit_cast<uint32_t>(b) == 0x40003f80u);  // the first one in the lower half
  CHECK(std::bit_cast<uint32_t>(h) == 0x40003c00u);
  CHECK(std::bit_cast<uint32_t>(__hadd2(b, b)) == 0x40804000u);
  CHECK(std::bit_cast<uint32_t>(__hsub2(h, __hadd2(h, h))) == 0xc000bc00u);
  CHECK(std::bit_cast<uint32_t>(__hmul2(b, b)) == 0x40803f80u);
  CHECK(std::bit_cast<uint32_t>(__hfma2(h, h, h)) == 0x46004000u);
}
