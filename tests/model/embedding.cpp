#include "ref/model/embedding.hpp"

#include "cuda/model/embedding.hpp"
#include "tests/model/on_device.hpp"
#include "tests/model/support.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using namespace dsllm::tests;

TEST_CASE("embedding: golden data, forward and backward") {
  const auto ids = golden<int32_t, 1>("embedding.ids");
  const auto weight = golden<double, 2>("embedding.weight"), dy = golden<double, 2>("embedding.dy");
  Tensor<double, 2> y(6, 5), dweight(7, 5);
  embedding_forward<double>(ids, weight, y);
  CHECK(distance(y, golden<double, 2>("embedding.y")) == 0);
  embedding_backward<double>(ids, dy, dweight);
  CHECK(distance(dweight, golden<double, 2>("embedding.dweight")) <= golden_tolerance);
}

TEST_CASE("embedding: the gradient of an id that stands three times is the sum of three rows") {
  Tensor<int32_t, 1> ids(4);
  ids(0) = ids(1) = ids(3) = 2;
  const auto dy = random<double>(1, 1, 4, 3);
  Tensor<double, 2> dweight(5, 3);
  embedding_backward<double>(ids, dy, dweight);
  for (int64_t j = 0; j < 3; ++j) {
    CHECK(dweight(2, j) == dy(0, j) + dy(1, j) + dy(3, j));
    CHECK(dweight(0, j) == dy(2, j));
    CHECK(dweight(1, j) == 0);
  }
}

TEST_CASE("embedding: an id outside of the vocabulary is named with its position, and nothing is written") {
  const auto weight = random<float>(1, 1, 5, 3);
  Tensor<int32_t, 1> ids(4);
  Tensor<float, 2> y(4, 3), dweight(5, 3);
  for (const int32_t id : {5, -1}) {
    ids(2) = id;
    const std::string expected =
        "expected ids below the vocabulary of 5, got id " + std::to_string(id) + " at position 2";
    CHECK(message_of([&] { embedding_forward<float>(ids, weight, y); }) == "embedding_forward: " + expected);
    CHECK(message_of([&] { embedding_backward<float>(ids, y, dweight); }) ==
          "embedding_backward: " + expected);
  }
  for (int64_t i = 0; i < y.size(); ++i) CHECK(y.data[i] == 0);
}

TEST_CASE("embedding: shapes that do not fit are named") {
  Tensor<int32_t, 1> ids(4);
  const auto weight = random<float>(1, 1, 5, 3);
  Tensor<float, 2> y(4, 2);
  CHECK(message_of([&] { embedding_forward<float>(ids, weight, y); }) ==
        "embedding_forward: expected y [4, 3], got [4, 2]");
}

// The device cannot throw: the header says what becomes of an id outside of the vocabulary. Rows of vectors, and of single
// numbers, at addresses that allow vectors or not.
TEST_CASE_TEMPLATE("embedding on a device: ids outside of the vocabulary", T, float, bf16) {
  cuda::Stream stream;
  const int64_t vocab = 5;
  Tensor<int32_t, 1> ids(6);
  const int32_t values[] = {4, -1, 0, 5, 4, INT32_MAX};
  std::copy_n(values, 6, ids.data);
  for (const int64_t d : {8, 5})
    for (const int64_t offset : {0, 1}) {
      const auto weight = random_as<T>(1, vocab, d), dy = random_as<T>(2, 6, d);
      const Placed<int32_t, 1> where(ids, 0, stream);
      const Placed<T, 2> table(weight, offset, stream), y(dy, offset, stream), grad(dy, offset, stream);
      cuda::embedding_forward<T>(where, table, y, stream);
      const Tensor<T, 2> rows = y.back();

      const Tensor<float, 2> zero(vocab, d);
      const Placed<float, 2> with_atomics(zero, offset, stream), sorted(zero, offset, stream);
      const Placed<int32_t, 1> positions(ids, 0, stream),
          scratch(Tensor<int32_t, 1>(cuda::embedding_sort_scratch(6, vocab)), 0, stream);
      const Placed<float, 3> partial(Tensor<float, 3>(cuda::embedding_pieces(6), 2, d), offset, stream);
      cuda::embedding_backward_atomics<T>(where, grad, with_atomics, stream);
      cuda::embedding_backward<T>(where, grad, sorted, positions, scratch, partial, stream);
      const Tensor<float, 2> first = with_atomics.back(), second = sorted.back();

      for (int64_t j = 0; j < d; ++j) {
        for (const int64_t t : {1, 3, 5}) CHECK(std::isnan(float(rows(t, j))));
        for (const int64_t t : {0, 2, 4}) CHECK(float(rows(t, j)) == float(weight(ids(t), j)));
        for (int64_t v = 0; v < vocab; ++v) {
          const float expected = v == 4 ? float(dy(0, j)) + float(dy(4, j)) : v == 0 ? float(dy(2, j)) : 0.0f;
          CHECK(first(v, j) == expected);
          CHECK(second(v, j) == expected);
        }
      }
    }
}

TEST_CASE("embedding on a device: shapes that do not fit are named") {
  cuda::Stream stream;
  Tensor<int32_t, 1> ids(3), positions(2), scratch(4);
  Tensor<float, 2> table(7, 4), dy(3, 5), good(3, 4);
  Tensor<float, 3> partial(1, 1, 4);
  CHECK(message_of([&] { cuda::embedding_forward<float>(ids, table, dy, stream); }) ==
        "embedding_forward: expected y [3, 4], got [3, 5]");
  CHECK(message_of([&] { cuda::embedding_backward_atomics<float>(ids, dy, table, stream); }) ==
        "embedding_backward_atomics: expected dy [3, 4], got [3, 5]");
  CHECK(message_of([&] { cuda::embedding_sort(ids, 7, positions, scratch, stream); }) ==
        "embedding_sort: expected positions [3], got [2]");
  CHECK(message_of([&] { cuda::embedding_sort(ids, 7, ids, scratch, stream); }) ==
        "embedding_sort: expected scratch [15], got [4]");
  CHECK(message_of([&] { cuda::embedding_backward_sorted<float>(ids, ids, good, table, partial, stream); }) ==
        "embedding_backward_sorted: expected partial [1, 2, 4], got [1, 1, 4]");
}
