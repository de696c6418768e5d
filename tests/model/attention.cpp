#include "ref/model/attention.hpp"

#include "tests/model/support.hpp"

using namespace dsllm;
using namespace dsllm::ref;
using namespace dsllm::tests;

// One call's arrays. The scores are wide enough that the probabilities are far from equal.
template <class T>
struct Arrays {
  int64_t batch, seq, heads, kv_heads, d;
  Tensor<T, 4> q, k, v, dy, y, p, ds, dq, dk, dv;
  Tensor<T, 3> lse;

  Arrays(int64_t batch_, int64_t seq_, int64_t heads_, int64_t kv_heads_, int64_t d_)
      : batch(batch_), seq(seq_), heads(heads_), kv_heads(kv_heads_), d(d_) {
    q = random<T>(1, 1.5, batch, seq, heads, d);
    k = random<T>(2, 1.5, batch, seq, kv_heads, d);
    v = random<T>(3, 1, batch, seq, kv_heads, d);
    dy = random<T>(4, 1, batch, seq, heads, d);
    y = Tensor<T, 4>::like(q), dq = Tensor<T, 4>::like(q);
    dk = Tensor<T, 4>::like(k), dv = Tensor<T, 4>::like(k);
    p = Tensor<T, 4>(batch, heads, seq, seq), ds = Tensor<T, 4>(batch, heads, seq, seq);
    lse = Tensor<T, 3>(batch, heads, seq);
  }
  void naive_forward() { attention_naive_forward<T>(q, k, v, p, y); }
  void naive_backward() { attention_naive_backward<T>(dy, q, k, v, p, ds, dq, dk, dv); }
  void online_forward() { attention_forward<T>(q, k, v, y, lse); }
  void online_backward() { attention_backward<T>(dy, q, k, v, y, lse, dq, dk, dv); }
};

TEST_CASE("attention: golden data for MHA, GQA and MQA, naive and online, forward and backward") {
  for (const int64_t kv_heads : {4, 2, 1}) {
    const std::string name = "attention." + std::to_string(kv_heads) + ".";
    Arrays<double> a(2, 7, 4, kv_heads, 6);
    a.q = golden<double, 4>(name + "q"), a.k = golden<double, 4>(name + "k"),
    a.v = golden<double, 4>(name + "v");
    a.dy = golden<double, 4>(name + "dy");
    const auto check = [&] {
      CHECK(distance(a.y, golden<double, 4>(name + "y")) <= golden_tolerance);
      CHECK(distance(a.dq, golden<double, 4>(name + "dq")) <= golden_tolerance);
      CHECK(distance(a.dk, golden<double, 4>(name + "dk")) <= golden_tolerance);
      CHECK(distance(a.dv, golden<double, 4>(name + "dv")) <= golden_tolerance);
    };
    a.naive_forward();
    a.naive_backward();
    check();
    CHECK(distance(a.p, golden<double, 4>(name + "p")) <= golden_tolerance);
    a.y.zero(), a.dq.zero(), a.dk.zero(), a.dv.zero();
    a.online_forward();
    a.online_backward();
    check();
    CHECK(distance(a.lse, golden<double, 3>(name + "lse")) <= golden_tolerance);
  }
}

TEST_CASE("attention: gradients agree with 4-point differences") {
  for (const bool is_online : {false, true}) {
    Arrays<double> a(1, 5, 4, 2, 3);
    const auto f = [&] {
      is_online ? a.online_forward() : a.naive_forward();
      return dot(a.dy, a.y);
    };
    f();
    const double gauge = absolute_dot(a.dy, a.y);
    is_online ? a.online_backward() : a.naive_backward();
    CHECK_GRADIENT(f, a.q, a.dq, gauge);
    CHECK_GRADIENT(f, a.k, a.dk, gauge);
    CHECK_GRADIENT(f, a.v, a.dv, gauge);
  }
}

TEST_CASE("attention: with online softmax it is the naive one, around tiles too") {
  for (const int64_t seq : {1, 2, 31, 63, 64, 65, 127, 128, 129, 200}) {
    Arrays<double> a(1, seq, 4, 2, 8), b(1, seq, 4, 2, 8);
    a.naive_forward();
    a.naive_backward();
    b.online_forward();
    b.online_backward();
    // Sums of at most 200 terms of order 10 in double.
    CHECK(distance(a.y, b.y) <= 1e-12);
    CHECK(distance(a.dq, b.dq) <= 1e-12);
    CHECK(distance(a.dk, b.dk) <= 1e-12);
    CHECK(distance(a.dv, b.dv) <= 1e-12);
  }
}

TEST_CASE("attention: is causal: a changed token changes nothing before it, not by one bit") {
  const int64_t seq = 130;
  for (const int64_t changed : {1, 64, 100, 129})
    for (const bool is_online : {false, true}) {
      Arrays<float> a(1, seq, 4, 2, 8), b(1, seq, 4, 2, 8);
      fill(b.q.row(0).row(changed), 7, 100);
      fill(b.k.row(0).row(changed), 8, 100);
      fill(b.v.row(0).row(changed), 9, 100);
      is_online ? a.online_forward() : a.naive_forward();
      is_online ? b.online_forward() : b.naive_forward();
      CHECK(same_bits(a.y.row(0).rows(0, changed), b.y.row(0).rows(0, changed)));
      CHECK(distance(a.y.row(0).row(changed), b.y.row(0).row(changed)) > 1);
    }
}

TEST_CASE(
    "attention: a NaN in a later token stays out of the earlier ones, and in a key reaches all that see it") {
  for (const bool is_online : {false, true}) {
    Arrays<float> a(1, 70, 2, 1, 4);
    a.k(0, 66, 0, 1) = NAN;
    is_online ? a.online_forward() : a.naive_forward();
    for (int64_t i = 0; i < 70; ++i)
      for (int64_t h = 0; h < 2; ++h) CHECK(std::isnan(a.y(0, i, h, 0)) == (i >= 66));
  }
}

TEST_CASE("attention: GQA is MHA with repeated keys and values; the gradient of a shared head is the sum") {
  const int64_t seq = 67, heads = 6, kv_heads = 2, d = 8;
  for (const bool is_online : {false, true}) {
    Arrays<double> gqa(2, seq, heads, kv_heads, d), mha(2, seq, heads, heads, d);
    for (int64_t t = 0; t < 2 * seq; ++t)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t e = 0; e < d; ++e) {
          const int64_t shared = (t * kv_heads + h / (heads / kv_heads)) * d + e,
                        own = (t * heads + h) * d + e;
          mha.k.data[own] = gqa.k.data[shared];
          mha.v.data[own] = gqa.v.data[shared];
        }
    for (Arrays<double>* a : {&gqa, &mha}) {
      is_online ? a->online_forward() : a->naive_forward();
      is_online ? a->online_backward() : a->naive_backward();
    }
    CHECK(same_bits(gqa.y, mha.y));
    CHECK(same_bits(gqa.dq, mha.dq));
    Tensor<double, 4> dk = Tensor<double, 4>::like(gqa.k), dv = Tensor<double, 4>::like(gqa.v);
    for (int64_t t = 0; t < 2 * seq; ++t)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t e = 0; e < d; ++e) {
          const int64_t shared = (t * kv_heads + h / (heads / kv_heads)) * d + e,
                        own = (t * heads + h) * d + e;
          dk.data[shared] += mha.dk.data[own];
          dv.data[shared] += mha.dv.data[own];
        }
    CHECK(distance(gqa.dk, dk) <= 1e-12);  // sums of 3 * 67 terms of order 1
    CHECK(distance(gqa.dv, dv) <= 1e-12);
  }
}

TEST_CASE("attention: probabilities are not negative, sum to 1 over what is seen and are 0 beyond") {
  Arrays<double> a(1, 40, 2, 1, 8);
  a.naive_forward();
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t i = 0; i < 40; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < 40; ++j) {
        CHECK(a.p(0, h, i, j) >= 0);
        if (j > i) CHECK(a.p(0, h, i, j) == 0);
        sum += a.p(0, h, i, j);
      }
      CHECK(std::abs(sum - 1) <= 40 * 1e-16);
    }
}

TEST_CASE("attention: scores in the thousands neither overflow nor vanish") {
  for (const bool is_online : {false, true}) {
    Arrays<float> a(1, 100, 2, 2, 16);
    for (int64_t i = 0; i < a.q.size(); ++i) a.q.data[i] *= 1000;
    is_online ? a.online_forward() : a.naive_forward();
    is_online ? a.online_backward() : a.naive_backward();
    for (int64_t i = 0; i < a.y.size(); ++i) REQUIRE(std::isfinite(a.y.data[i]));
    for (int64_t i = 0; i < a.dq.size(); ++i) REQUIRE(std::isfinite(a.dq.data[i]));
    // The first token sees itself alone.
    CHECK(distance(a.y.row(0).row(0), a.v.row(0).row(0)) == 0);
  }
}

TEST_CASE("attention: one token against the cache is the last row of the whole") {
  for (const int64_t seq : {1, 2, 63, 64, 65, 128, 129, 300}) {
    Arrays<double> a(1, seq, 6, 2, 8);
    a.naive_forward();
    Tensor<double, 2> y(6, 8);
    attention_decode<double>(a.q.row(0).row(seq - 1), a.k.row(0), a.v.row(0), y);
    CHECK(distance(y, a.y.row(0).row(seq - 1)) <= golden_tolerance);
  }
}

TEST_CASE("attention: what does not fit is named") {
  Arrays<float> a(1, 4, 4, 2, 6), b(1, 4, 3, 2, 6), c(1, 5, 4, 2, 6);
  CHECK(message_of([&] { b.online_forward(); }) ==
        "attention_forward: expected query heads that are a multiple of the key heads, got 3 and 2");
  CHECK(message_of([&] { attention_forward<float>(a.q, c.k, a.v, a.y, a.lse); }) ==
        "attention_forward: expected k [1, 4, 2, 6], got [1, 5, 2, 6]");
  CHECK(message_of([&] { attention_naive_forward<float>(a.q, a.k, a.v, c.p, a.y); }) ==
        "attention_naive_forward: expected p [1, 4, 4, 4], got [1, 4, 5, 5]");
  CHECK(message_of([&] { attention_backward<float>(a.dy, a.q, a.k, a.v, a.y, c.lse, a.dq, a.dk, a.dv); }) ==
        "attention_backward: expected lse [1, 4, 4], got [1, 4, 5]");
  CHECK(message_of([&] {
          attention_decode<float>(a.q.row(0).row(0), a.k.row(0).rows(0, 0), a.v.row(0).rows(0, 0),
                                  a.y.row(0).row(0));
        }) == "attention_decode: expected a cache that holds the new token, got [0, 2, 6]");
}
