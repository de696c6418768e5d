#include "ref/model/rope.hpp"

#include "cuda/model/rope.hpp"
#include "ref/model/linear.hpp"
#include "tests/model/on_device.hpp"
#include "tests/model/support.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using namespace dsllm::tests;

static const RopeLayout layouts[] = {RopeLayout::interleaved, RopeLayout::halves};

// cos and sin of positions first .. first + n - 1.
struct Angles {
  Tensor<double, 2> cos, sin;
  Angles(int64_t first, int64_t n, int64_t d_head, double theta = 10000)
      : cos(n, d_head / 2), sin(n, d_head / 2) {
    rope_angles<double>(first, theta, cos, sin);
  }
};

TEST_CASE("rope: golden data in both layouts, forward and backward") {
  const Angles a(100, 6, 8, 500);
  for (const RopeLayout layout : layouts) {
    const std::string name = layout == RopeLayout::halves ? "rope.halves." : "rope.interleaved.";
    Tensor<double, 4> y(2, 6, 3, 8), dx(2, 6, 3, 8);
    rope_forward<double>(golden<double, 4>(name + "x"), a.cos, a.sin, layout, y);
    CHECK(distance(y, golden<double, 4>(name + "y")) <= golden_tolerance);
    rope_backward<double>(golden<double, 4>(name + "dy"), a.cos, a.sin, layout, dx);
    CHECK(distance(dx, golden<double, 4>(name + "dx")) <= golden_tolerance);
  }
}

TEST_CASE("rope: angles are right up to position 1,048,576, measured in 80-bit arithmetic") {
  const auto positions = golden<int32_t, 1>("rope_angles.positions");
  const auto cos = golden<double, 2>("rope_angles.cos"), sin = golden<double, 2>("rope_angles.sin");
  Tensor<float, 2> cos_float(1, 64), sin_float(1, 64);
  for (int64_t row = 0; row < positions.size(); ++row) {
    const Angles a(positions(row), 1, 128);
    rope_angles<float>(positions(row), 10000, cos_float, sin_float);
    // The angle in double has a relative error of a few 2^-53 (pow and a product).
    const double tolerance = 4 * 0x1p-53 * (1 + positions(row));
    CHECK(distance(a.cos.row(0), cos.row(row)) <= tolerance);
    CHECK(distance(a.sin.row(0), sin.row(row)) <= tolerance);
    // In float only the result is rounded, by at most 2^-25 for numbers up to 1 and 2^-24 for 1 itself.
    CHECK(distance(cos_float.row(0), cos.row(row)) <= tolerance + 0x1p-25);
    CHECK(distance(sin_float.row(0), sin.row(row)) <= tolerance + 0x1p-25);
  }
}

TEST_CASE("rope: angles of a later part of a text are those of the whole text, bit for bit") {
  const Angles whole(0, 40, 6), part(33, 7, 6);
  CHECK(same_bits(whole.cos.rows(33, 7), View<double, 2>(part.cos)));
  CHECK(same_bits(whole.sin.rows(33, 7), View<double, 2>(part.sin)));
}

TEST_CASE("rope: the product of a query and a key depends on their distance only") {
  const int64_t d_head = 16, n = 12, shift = 5000;
  const auto q = random<double>(1, 1, 1, n, 1, d_head), k = random<double>(2, 1, 1, n, 1, d_head);
  for (const RopeLayout layout : layouts) {
    const auto scores = [&](int64_t first) {
      const Angles a(first, n, d_head);
      Tensor<double, 4> q_turned(1, n, 1, d_head), k_turned(1, n, 1, d_head);
      rope_forward<double>(q, a.cos, a.sin, layout, q_turned);
      rope_forward<double>(k, a.cos, a.sin, layout, k_turned);
      Tensor<double, 2> s(n, n);
      linear_forward<double>(q_turned.reshape(n, d_head), k_turned.reshape(n, d_head), s);
      return s;
    };
    // 16 products of order 1 with angles up to 5000 that err by 2^-53 of themselves.
    CHECK(distance(scores(0), scores(shift)) <= 1e-11);
    // It does depend on the distance: the property is not empty.
    Tensor<double, 2> unturned(n, n);
    linear_forward<double>(q.reshape(n, d_head), k.reshape(n, d_head), unturned);
    CHECK(distance(scores(0), unturned) > 0.1);
  }
}

TEST_CASE("rope: a rotation keeps lengths, and backward undoes forward") {
  const Angles a(1000, 5, 8);
  for (const RopeLayout layout : layouts) {
    const auto x = random<double>(1, 1, 2, 5, 3, 8);
    Tensor<double, 4> y(2, 5, 3, 8), back(2, 5, 3, 8);
    rope_forward<double>(x, a.cos, a.sin, layout, y);
    CHECK(dot(y, y) == doctest::Approx(dot(x, x)).epsilon(1e-14));
    rope_backward<double>(y, a.cos, a.sin, layout, back);
    CHECK(distance(back, x) <= golden_tolerance);
  }
}

TEST_CASE("rope: with converted weights the other layout gives the same attention scores") {
  const int64_t n = 5, heads = 3, d_head = 8, d_in = 7;
  const auto x = random<double>(1, 1, n, d_in), wq = random<double>(2, 1, heads * d_head, d_in),
             wk = random<double>(3, 1, heads * d_head, d_in);
  const Angles a(0, n, d_head);
  const auto turned = [&](const Tensor<double, 2>& weight, RopeLayout layout) {
    Tensor<double, 4> y(1, n, heads, d_head);
    linear_forward<double>(x, weight, y.reshape(n, heads * d_head));
    rope_forward<double>(y, a.cos, a.sin, layout, y);
    return y;
  };
  const auto score = [&](const Tensor<double, 4>& q, const Tensor<double, 4>& k, int64_t i, int64_t j,
                         int64_t h) { return dot(q.row(0).row(i).row(h), k.row(0).row(j).row(h)); };
  for (const RopeLayout from : layouts) {
    const RopeLayout to = from == RopeLayout::halves ? RopeLayout::interleaved : RopeLayout::halves;
    Tensor<double, 2> wq_to(heads * d_head, d_in), wk_to(heads * d_head, d_in), back(heads * d_head, d_in);
    rope_convert_weight<double>(wq, heads, from, to, wq_to);
    rope_convert_weight<double>(wk, heads, from, to, wk_to);
    const auto q = turned(wq, from), k = turned(wk, from), q_to = turned(wq_to, to), k_to = turned(wk_to, to),
               q_wrong = turned(wq, to), k_wrong = turned(wk, to);
    double largest = 0, largest_wrong = 0;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        for (int64_t h = 0; h < heads; ++h) {
          largest = std::max(largest, std::abs(score(q, k, i, j, h) - score(q_to, k_to, i, j, h)));
          largest_wrong =
              std::max(largest_wrong, std::abs(score(q, k, i, j, h) - score(q_wrong, k_wrong, i, j, h)));
        }
    CHECK(largest <= 1e-12);   // eight products of order 10
    CHECK(largest_wrong > 1);  // without the conversion it is another model
    rope_convert_weight<double>(wq_to, heads, to, from, back);
    CHECK(same_bits(back, wq));
  }
}

TEST_CASE("rope: what does not fit is named") {
  Tensor<float, 2> cos(3, 2), sin(3, 2), sin_short(2, 2);
  Tensor<float, 4> x(1, 3, 2, 4), odd(1, 3, 2, 5), y(1, 3, 2, 6);
  CHECK(message_of([&] { rope_angles<float>(-3, 10000, cos, sin); }) ==
        "rope_angles: expected a position of 0 or more, got -3");
  CHECK(message_of([&] { rope_angles<float>(0, 10000, cos, sin_short); }) ==
        "rope_angles: expected sin [3, 2], got [2, 2]");
  CHECK(message_of([&] { rope_forward<float>(odd, cos, sin, RopeLayout::halves, odd); }) ==
        "rope_forward: expected an even d_head, got [1, 3, 2, 5]");
  CHECK(message_of([&] { rope_forward<float>(x, cos, sin_short, RopeLayout::halves, x); }) ==
        "rope_forward: expected sin [3, 2], got [2, 2]");
  CHECK(message_of([&] { rope_backward<float>(x, cos, sin, RopeLayout::halves, y); }) ==
        "rope_backward: expected output [1, 3, 2, 4], got [1, 3, 2, 6]");
  Tensor<float, 2> weight(6, 3);
  CHECK(message_of([&] {
          rope_convert_weight<float>(weight, 2, RopeLayout::halves, RopeLayout::halves, weight);
        }) == "rope_convert_weight: expected rows that make 2 heads of even width, got [6, 3]");
}

// Heads that do not begin at multiples of 16 bytes, which no pair has. Results below 8 may differ by a rounding: GCC 12
// makes vfmaddsub of neighbouring pairs, whatever -ffp-contract says.
TEST_CASE_TEMPLATE("rope on a device: addresses that allow no vectors", T, float, bf16) {
  cuda::Stream stream;
  const auto x = random_as<T>(1, 2, 3, 5, 16);
  Tensor<float, 2> cosines(3, 8), sines(3, 8);
  rope_angles<float>(7, 10000, cosines, sines);
  for (const auto layout : {cuda::RopeLayout::interleaved, cuda::RopeLayout::halves}) {
    const auto run = [&](int64_t offset, int64_t offset_of_angles) {
      const Placed<T, 4> y(x, offset, stream);
      const Placed<float, 2> cos(cosines, offset_of_angles, stream), sin(sines, offset_of_angles, stream);
      cuda::rope_forward<T>(y, cos, sin, layout, y, stream);
      return y.back();
    };
    const Tensor<T, 4> aligned = run(0, 0);
    const double one_rounding = sizeof(T) == 2 ? 0x1p-5 : 0x1p-21;
    CHECK(distance(aligned, run(1, 0)) <= one_rounding);
    CHECK(distance(aligned, run(0, 1)) <= one_rounding);
    CHECK(distance(aligned, x) > 0.1);
  }
}

TEST_CASE("rope on a device: what does not fit is named") {
  cuda::Stream stream;
  Tensor<float, 4> odd(1, 2, 1, 3), x(1, 2, 1, 4);
  Tensor<float, 2> angles(2, 2), others(2, 3);
  CHECK(message_of([&] {
          cuda::rope_forward<float>(odd, angles, angles, cuda::RopeLayout::halves, odd, stream);
        }) == "rope_forward: expected an even d_head, got [1, 2, 1, 3]");
  CHECK(message_of([&] {
          cuda::rope_backward<float>(x, angles, others, cuda::RopeLayout::halves, x, stream);
        }) == "rope_backward: expected sin [2, 2], got [2, 3]");
  CHECK(message_of([&] { cuda::rope_angles(-1, 10000, angles, angles, stream); }) ==
        "rope_angles: expected a position of 0 or more, got -1");
}
