#include <cmath>

#include "tests/judge/bugs/bugs.hpp"

namespace dsllm::tests {
namespace {

struct AngleBug {
  double theta = 0;         // replaces the base
  double exponent = 1;      // of theta^(-2i / d_head), times this
  double shift = 0;         // of the position
  bool in_float = false;    // the angle is computed in float
  bool is_swapped = false;  // cos and sin
  bool is_absolute = true;  // false: begins at position 0 whatever first_position says
};

Run angles(const AngleBug& bug) {
  return [bug](Call& c) {
    const auto cos = c.out<float, 2>("cos"), sin = c.out<float, 2>("sin");
    const double theta = bug.theta ? bug.theta : c.number("theta");
    for (int64_t p = 0; p < cos.extent[0]; ++p)
      for (int64_t i = 0; i < cos.extent[1]; ++i) {
        const double d_head = 2 * static_cast<double>(cos.extent[1]);
        const double position =
            (bug.is_absolute ? c.number("position") : 0) + static_cast<double>(p) + bug.shift;
        double angle = position * std::pow(theta, -2 * static_cast<double>(i) / d_head * bug.exponent);
        if (bug.in_float) angle = static_cast<float>(angle);
        cos(p, i) = static_cast<float>(bug.is_swapped ? std::sin(angle) : std::cos(angle));
        sin(p, i) = static_cast<float>(bug.is_swapped ? std::cos(angle) : std::sin(angle));
      }
  };
}

struct RotationBug {
  bool other_layout = false;
  bool other_direction = false;
  bool first_head_only = false;
  bool last_pair_missing = false;   // copied, not rotated
  bool angle_of_first_row = false;  // every row turns by the angle of position 0 of the table
  bool reads_after_write = false;   // a is overwritten before b needs it: wrong in place only
};

Run rotation(const RotationBug& bug, const char* in, const char* out, float direction) {
  return [=](Call& c) {
    const auto x = c.in<float, 4>(in);
    const auto y = c.out<float, 4>(out);
    const auto cos = c.in<float, 2>("cos"), sin = c.in<float, 2>("sin");
    const bool halves = (c.number("halves") != 0) != bug.other_layout;
    const auto [batch, seq, heads, d_head] = x.extent;
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t t = 0; t < seq; ++t)
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t i = 0; i < d_head / 2; ++i) {
            const int64_t first = halves ? i : 2 * i, second = halves ? i + d_head / 2 : 2 * i + 1;
            const int64_t row = bug.angle_of_first_row ? 0 : t;
            const bool is_identity =
                (bug.first_head_only && h > 0) || (bug.last_pair_missing && i == d_head / 2 - 1);
            const float cosine = is_identity ? 1 : cos(row, i);
            const float sine = is_identity ? 0 : sin(row, i) * (bug.other_direction ? -direction : direction);
            const float a = x(b, t, h, first), second_before = x(b, t, h, second);
            y(b, t, h, first) = a * cosine - second_before * sine;
            const float a_again = bug.reads_after_write ? x(b, t, h, first) : a;
            y(b, t, h, second) = a_again * sine + second_before * cosine;
          }
  };
}

// Row i of head h of layout `from` becomes row convert(i) of the same head.
struct ConversionBug {
  bool is_inverse = false;
  bool is_copy = false;
  bool one_head = false;  // the rows of all heads are reordered as if they were one
};

Run conversion(const ConversionBug& bug) {
  return [bug](Call& c) {
    const auto weight = c.in<float, 2>("weight");
    const auto converted = c.out<float, 2>("converted");
    const int64_t heads = bug.one_head ? 1 : c.size("heads"), d = weight.extent[0] / heads;
    double from = c.number("from"), to = c.number("to");
    if (bug.is_inverse) std::swap(from, to);
    if (bug.is_copy) from = to;
    const auto row = [&](double halves, int64_t i, bool second) {
      return halves != 0 ? i + (second ? d / 2 : 0) : 2 * i + (second ? 1 : 0);
    };
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < d / 2; ++i)
        for (const bool second : {false, true})
          for (int64_t j = 0; j < weight.extent[1]; ++j)
            converted(h * d + row(to, i, second), j) = weight(h * d + row(from, i, second), j);
  };
}

}  // namespace

std::vector<Bug> rope_bugs() {
  return {
      {"rope_angles", "", angles({})},
      {"rope_angles", "base 1000 in place of 10000", angles({.theta = 1000})},
      {"rope_angles", "base 500000 in place of 10000", angles({.theta = 500000})},
      {"rope_angles", "exponent -i / d_head", angles({.exponent = 0.5})},
      {"rope_angles", "positions count from 1", angles({.shift = 1})},
      {"rope_angles", "angle in float at position 131,072", angles({.in_float = true})},
      {"rope_angles", "cos and sin swapped", angles({.is_swapped = true})},
      {"rope_angles", "first position ignored", angles({.is_absolute = false})},
      {"rope_forward", "", rotation({}, "x", "y", 1)},
      {"rope_forward", "swapped layout", rotation({.other_layout = true}, "x", "y", 1)},
      {"rope_forward", "turns the other way", rotation({.other_direction = true}, "x", "y", 1)},
      {"rope_forward", "only the first head turns", rotation({.first_head_only = true}, "x", "y", 1)},
      {"rope_forward", "the last pair does not turn", rotation({.last_pair_missing = true}, "x", "y", 1)},
      {"rope_forward", "all rows turn by the first angle",
       rotation({.angle_of_first_row = true}, "x", "y", 1)},
      {"rope_forward", "in place: reads after write", rotation({.reads_after_write = true}, "x", "y", 1)},
      {"rope_backward", "", rotation({}, "dy", "dx", -1)},
      {"rope_backward", "turns forward", rotation({.other_direction = true}, "dy", "dx", -1)},
      {"rope_backward", "swapped layout", rotation({.other_layout = true}, "dy", "dx", -1)},
      {"rope_convert_weight", "", conversion({})},
      {"rope_convert_weight", "the inverse conversion", conversion({.is_inverse = true})},
      {"rope_convert_weight", "copies", conversion({.is_copy = true})},
      {"rope_convert_weight", "across heads", conversion({.one_head = true})},
  };
}

}  // namespace dsllm::tests
