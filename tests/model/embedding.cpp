#include "ref/model/embedding.hpp"

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
