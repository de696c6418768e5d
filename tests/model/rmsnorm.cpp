#include "ref/model/rmsnorm.hpp"

#include "cuda/model/rmsnorm.hpp"
#include "tests/model/on_device.hpp"
#include "tests/model/support.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using namespace dsllm::tests;

TEST_CASE("rmsnorm: golden data, forward and backward") {
  const auto x = golden<double, 2>("rmsnorm.x"), dy = golden<double, 2>("rmsnorm.dy");
  const auto weight = golden<double, 1>("rmsnorm.weight");
  Tensor<double, 2> y(5, 9), dx(5, 9);
  Tensor<double, 1> inv_rms(5), dweight(9);
  rmsnorm_forward<double>(x, weight, 0.01, y, inv_rms);
  CHECK(distance(y, golden<double, 2>("rmsnorm.y")) <= golden_tolerance);
  CHECK(distance(inv_rms, golden<double, 1>("rmsnorm.inv_rms")) <= golden_tolerance);
  rmsnorm_backward<double>(dy, x, weight, inv_rms, dx, dweight);
  CHECK(distance(dx, golden<double, 2>("rmsnorm.dx")) <= golden_tolerance);
  CHECK(distance(dweight, golden<double, 1>("rmsnorm.dweight")) <= golden_tolerance);
}

TEST_CASE("rmsnorm: gradients agree with 4-point differences") {
  for (const int64_t d : {1, 7, 130}) {
    auto x = random<double>(1, 1, 3, d);
    auto weight = random<double>(2, 1, d);
    const auto dy = random<double>(3, 1, 3, d);
    Tensor<double, 2> y(3, d), dx(3, d);
    Tensor<double, 1> inv_rms(3), dweight(d);
    const auto f = [&] {
      rmsnorm_forward<double>(x, weight, 0.1, y, inv_rms);
      return dot(dy, y);
    };
    f();
    const double gauge = absolute_dot(dy, y);
    rmsnorm_backward<double>(dy, x, weight, inv_rms, dx, dweight);
    CHECK_GRADIENT(f, x, dx, gauge);
    CHECK_GRADIENT(f, weight, dweight, gauge);
  }
}

TEST_CASE("rmsnorm: without eps the scale of x does not matter, and the mean square of y is 1") {
  const auto x = random<double>(1, 1, 4, 31);
  Tensor<double, 2> scaled = x.clone(), y(4, 31), y_scaled(4, 31);
  for (int64_t i = 0; i < x.size(); ++i)
    scaled.data[i] *= 1024;  // a power of two: not even the roundings change
  Tensor<double, 1> ones(31), inv_rms(4);
  for (int64_t j = 0; j < 31; ++j) ones(j) = 1;
  rmsnorm_forward<double>(x, ones, 0, y, inv_rms);
  rmsnorm_forward<double>(scaled, ones, 0, y_scaled, inv_rms);
  CHECK(same_bits(y, y_scaled));
  for (int64_t t = 0; t < 4; ++t) CHECK(dot(y.row(t), y.row(t)) / 31 == doctest::Approx(1).epsilon(1e-14));
}

TEST_CASE("rmsnorm: a row of zeros is zero, thanks to eps, and a NaN stays in its row") {
  Tensor<float, 2> x(2, 4), y(2, 4);
  Tensor<float, 1> weight(4), inv_rms(2);
  fill(weight, 1);
  x(1, 2) = NAN;
  rmsnorm_forward<float>(x, weight, 1e-6, y, inv_rms);
  CHECK(inv_rms(0) == doctest::Approx(1000).epsilon(1e-6));
  for (int64_t j = 0; j < 4; ++j) {
    CHECK(y(0, j) == 0);
    CHECK(std::isnan(y(1, j)));
  }
}

TEST_CASE("rmsnorm: shapes that do not fit are named") {
  Tensor<float, 2> x(2, 4);
  Tensor<float, 1> weight(5), good(4), inv_rms(2);
  CHECK(message_of([&] { rmsnorm_forward<float>(x, weight, 0, x, inv_rms); }) ==
        "rmsnorm_forward: expected weight [4], got [5]");
  CHECK(message_of([&] { rmsnorm_forward<float>(x, good, 0, x, good); }) ==
        "rmsnorm_forward: expected inv_rms [2], got [4]");
  CHECK(message_of([&] { rmsnorm_backward<float>(x, x, good, inv_rms, x, weight); }) ==
        "rmsnorm_backward: expected dweight [4], got [5]");
}

// Rows that do not begin at multiples of 16 bytes, which no pair has.
TEST_CASE_TEMPLATE("rmsnorm on a device: addresses that allow no vectors", T, float, bf16) {
  cuda::Stream stream;
  const int64_t n = 3, d = 64;
  const auto x = random_as<T>(1, n, d), other = random_as<T>(2, n, d);
  const auto weight = random_as<T>(3, d);
  const Tensor<float, 1> rows(n), columns(d);
  const Tensor<float, 2> parts(cuda::rmsnorm_backward_parts(n), d);

  struct Results {
    Tensor<T, 2> y, h, sum_y, dx;
    Tensor<float, 1> dweight;
  };
  const auto run = [&](int64_t offset) {
    const Placed<T, 2> in(x, offset, stream), residual(other, offset, stream), y(x, offset, stream),
        h(x, offset, stream), sum_y(x, offset, stream), dx(x, offset, stream);
    const Placed<T, 1> w(weight, offset, stream);
    const Placed<float, 1> inv_rms(rows, 0, stream), dweight(columns, 0, stream), unused(rows, 0, stream);
    const Placed<float, 2> partial(parts, offset, stream);
    cuda::rmsnorm_forward<T>(in, w, 1e-6, y, inv_rms, stream);
    cuda::rmsnorm_residual_forward<T>(in, residual, w, 1e-6, h, sum_y, unused, stream);
    cuda::rmsnorm_backward<T>(residual, in, w, inv_rms, dx, dweight, partial, stream);
    return Results{y.back(), h.back(), sum_y.back(), dx.back(), dweight.back()};
  };
  const Results aligned = run(0), shifted = run(1);
  // Sums in another order differ by some roundings of a float, which may tip one of a bf16.
  const double one_rounding = sizeof(T) == 2 ? 0x1p-8 * 16 : 0x1p-20;
  CHECK(distance(aligned.y, shifted.y) <= one_rounding);
  CHECK(same_bits(aligned.h, shifted.h));
  CHECK(distance(aligned.sum_y, shifted.sum_y) <= one_rounding);
  CHECK(distance(aligned.dx, shifted.dx) <= one_rounding);
  CHECK(distance(aligned.dweight, shifted.dweight) <= 0x1p-20);
  CHECK(distance(aligned.y, x) > 0.1);
}

TEST_CASE("rmsnorm on a device: shapes that do not fit are named") {
  cuda::Stream stream;
  Tensor<float, 2> x(2, 4), odd(2, 5), partial(1, 4);
  Tensor<float, 1> weight(5), good(4), inv_rms(2);
  CHECK(message_of([&] { cuda::rmsnorm_forward<float>(x, weight, 0, x, inv_rms, stream); }) ==
        "rmsnorm_forward: expected weight [4], got [5]");
  CHECK(message_of([&] { cuda::rmsnorm_residual_forward<float>(x, odd, good, 0, x, x, inv_rms, stream); }) ==
        "rmsnorm_residual_forward: expected residual [2, 4], got [2, 5]");
  CHECK(
      message_of([&] { cuda::rmsnorm_forward_registers<float>(odd, weight, 0, odd, inv_rms, stream); }) ==
      "rmsnorm_forward_registers: expected rows of whole 16 bytes, 32 KiB at most, at multiples of 16 bytes, "
      "got [2, 5]");
  CHECK(message_of([&] { cuda::rmsnorm_backward<float>(x, x, good, inv_rms, x, good, partial, stream); }) ==
        "rmsnorm_backward: expected partial [2, 4], got [1, 4]");
}
