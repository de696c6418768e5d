// Kernels that wait wrongly: each stops with a message that names the kernel, block, thread, line, and what it waited for.
#include "cuda/core/tensor_core.hpp"
#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

constexpr unsigned all = 0xffffffffu;

void check(const std::string& message, const char* expected) {
  check_message(message, expected, "wrong_synchronization.cu");
}

__global__ void two_lines() {
  if (threadIdx.x < 33) {
    HERE(0, __syncthreads());
  } else {
    HERE(1, __syncthreads());
  }
}
__global__ void one_returns_first() {
  if (threadIdx.x == 1 && threadIdx.y == 2) return;  // thread 9 of 64
  HERE(0, __syncthreads());
}
__global__ void one_returns_last() {
  if (threadIdx.x == 63) return;
  HERE(0, __syncthreads());
}
__global__ void only_one_comes() {
  if (threadIdx.x == 40) HERE(0, __syncthreads());
}
__global__ void two_forms() {
  threadIdx.x == 0 ? __syncthreads_count(1) : HERE(0, __syncthreads_or(1));
}
__global__ void a_round_less() {
  for (unsigned i = 0; i < (threadIdx.x < 32 ? 3u : 2u); ++i) HERE(0, __syncthreads());
}

}  // namespace

TEST_CASE("a divergent barrier: two lines") {
  const char* const expected =
      "kernel two_lines, block (0, 0, 0), thread (33, 0, 0), {0}: expected all 64 threads of the block at "
      "the same "
      "__syncthreads ({0}), got a divergent barrier: thread (33, 0, 0) has come to the one at {1}\n"
      "  warp 0: lanes 0-31 wait at __syncthreads ({0})\n"
      "  warp 1: lane 0 waits at __syncthreads ({0}); lane 1 can run; lanes 2-31 have not begun";
  check(wrong({1, 64}, two_lines), expected);
  check(wrong({{3, 2, 2}, 64}, two_lines), expected);  // of the first block that fails
}

TEST_CASE("a divergent barrier: a thread returned before the others came") {
  check(wrong({1, {4, 16}}, one_returns_first),
        "kernel one_returns_first, block (0, 0, 0), thread (1, 2, 0), {0}: expected all 64 threads of the "
        "block at the same "
        "__syncthreads ({0}), got a divergent barrier: thread (1, 2, 0) has returned\n"
        "  warp 0: lanes 0-8 wait at __syncthreads ({0}); lane 9 has returned; lanes 10-31 have not begun\n"
        "  warp 1: lanes 0-31 have not begun");
}

TEST_CASE("a divergent barrier: a thread returns while the others wait") {
  check(wrong({1, 64}, one_returns_last),
        "kernel one_returns_last, block (0, 0, 0), thread (63, 0, 0), {0}: expected all 64 threads of the "
        "block at the same "
        "__syncthreads ({0}), got a divergent barrier: thread (63, 0, 0) has returned\n"
        "  warp 0: lanes 0-31 wait at __syncthreads ({0})\n"
        "  warp 1: lanes 0-30 wait at __syncthreads ({0}); lane 31 has returned");
  check(wrong({1, 64}, a_round_less),
        "kernel a_round_less, block (0, 0, 0), thread (32, 0, 0), {0}: expected all 64 threads of the block "
        "at the same "
        "__syncthreads ({0}), got a divergent barrier: thread (32, 0, 0) has returned\n"
        "  warp 0: lanes 0-31 wait at __syncthreads ({0})\n"
        "  warp 1: lane 0 has returned; lanes 1-31 can run");
}

TEST_CASE("a divergent barrier that a late thread is the first to reach") {
  check(wrong({1, 65}, only_one_comes),
        "kernel only_one_comes, block (0, 0, 0), thread (40, 0, 0), {0}: expected all 65 threads of the "
        "block at the same "
        "__syncthreads ({0}), got a divergent barrier: thread (0, 0, 0) has returned\n"
        "  warp 0: lanes 0-31 have returned\n"
        "  warp 1: lanes 0-7 have returned; lane 8 waits at __syncthreads ({0}); lanes 9-31 have not begun\n"
        "  warp 2: lane 0 has not begun");
}

TEST_CASE("a divergent barrier: two of its forms") {
  check(wrong({1, 2}, two_forms),
        "kernel two_forms, block (0, 0, 0), thread (1, 0, 0), {0}: expected all 2 threads of the block at "
        "the same "
        "__syncthreads_count ({0}), got a divergent barrier: thread (1, 0, 0) has come to the "
        "__syncthreads_or at {0}\n"
        "  warp 0: lane 0 waits at __syncthreads_count ({0}); lane 1 can run");
}

TEST_CASE("divergent barriers in other orders: what is found first differs, that it is found does not") {
  in_every_order([] {
    for (const auto kernel : {two_lines, one_returns_last, only_one_comes, a_round_less}) {
      const std::string message = wrong({2, 64}, kernel);
      CAPTURE(message);
      CHECK(message.find("divergent barrier") != std::string::npos);
      check_still_works();
    }
  });
}

namespace {

__global__ void names_an_exited_lane(int* out) {
  if (threadIdx.x % 32 == 7) return;
  out[threadIdx.x] = HERE(0, __shfl_sync(all, 1, 0));
}
__global__ void exits_while_others_wait(int* out) {
  if (threadIdx.x >= 30) return;
  out[threadIdx.x] = HERE(0, __reduce_add_sync(all, 1));
}
__global__ void outside_of_its_mask(int* out) {
  out[threadIdx.x] = HERE(0, __any_sync(0x0000fff0u, 1));
}
__global__ void empty_mask() {
  HERE(0, __syncwarp(0));
}
__global__ void reads_outside_of_the_mask(int* out) {
  if (threadIdx.x < 8) out[threadIdx.x] = HERE(0, __shfl_down_sync(0x000000ffu, 1, 1));
}
__global__ void reads_a_lane_that_is_not_there(int* out) {
  out[threadIdx.x] = HERE(0, __shfl_sync(all, 1, 25));
}
__global__ void two_masks(unsigned* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = HERE(0, __ballot_sync(all, 1));
  } else {
    out[threadIdx.x] = HERE(1, __ballot_sync(0xffff0001u, 1));
  }
}
__global__ void two_operations(int* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = HERE(0, __shfl_xor_sync(all, 1, 1));
  } else {
    out[threadIdx.x] = HERE(1, __shfl_sync(all, 1, 1));
  }
}
__global__ void wrong_width(int* out) {
  out[threadIdx.x] = HERE(0, __shfl_down_sync(all, 1, 1, 12));
}
__global__ void ragged_mma(float* out) {
  float d[4] = {};
  const uint32_t zero[4] = {}, half[2] = {};
  HERE(0, mma_bf16(d, zero, half));
  out[threadIdx.x] = d[0];
}

__global__ void names_a_lane_that_returned_before(int* out) {
  if (threadIdx.x < 37) return;
  out[threadIdx.x] = HERE(0, __all_sync(0x000000ffu, 1));
}

template <class T>
std::string wrong_on_memory(unsigned threads, void (*kernel)(T*)) {
  const DeviceTensor<T, 1> out("out", 64);
  return wrong({1, threads}, kernel, out.data);
}

}  // namespace

TEST_CASE("a collective that names a lane that has returned") {
  check(wrong_on_memory(32, names_an_exited_lane),
        "kernel names_an_exited_lane, block (0, 0, 0), thread (7, 0, 0): expected every lane of the mask "
        "0xffffffff to take "
        "part in __shfl_sync ({0}), got lane 7 of warp 0 has returned, while lanes 0-6 wait for it");
  check(wrong_on_memory(32, exits_while_others_wait),
        "kernel exits_while_others_wait, block (0, 0, 0), thread (30, 0, 0): expected every lane of the mask "
        "0xffffffff to "
        "take part in __reduce_add_sync ({0}), got lane 30 of warp 0 has returned, while lanes 0-29 wait for "
        "it");
  check(wrong_on_memory(40, names_a_lane_that_returned_before),
        "kernel names_a_lane_that_returned_before, block (0, 0, 0), thread (37, 0, 0), {0}: expected every "
        "lane of the mask "
        "0x000000ff to take part in __all_sync, got lanes 0-4 of warp 1 returned before");
}

TEST_CASE("a collective by a lane outside of its mask") {
  check(wrong_on_memory(32, outside_of_its_mask),
        "kernel outside_of_its_mask, block (0, 0, 0), thread (0, 0, 0), {0}: expected __any_sync to be "
        "called by lanes of its "
        "mask 0x0000fff0 alone, got lane 0, which is not in it");
  check(wrong({1, 32}, empty_mask),
        "kernel empty_mask, block (0, 0, 0), thread (0, 0, 0), {0}: expected __syncwarp to be called by "
        "lanes of its mask "
        "0x00000000 alone, got lane 0, which is not in it");
}

// By one of the lanes in the middle, of which the executor looks at less.
__global__ void one_reads_outside_of_the_mask(int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  if (lane < 16) out[lane] = HERE(0, __shfl_sync(0xffffu, lane, lane == 5 ? 20 : 0));
}

TEST_CASE("a shuffle from a lane outside of the mask, or that is not there") {
  check(wrong_on_memory(32, one_reads_outside_of_the_mask),
        "kernel one_reads_outside_of_the_mask, block (0, 0, 0), thread (5, 0, 0), {0}: expected __shfl_sync "
        "to read "
        "lanes of its mask alone, lanes 0-15, got lane 5 reads lane 20");
  check(wrong_on_memory(32, reads_outside_of_the_mask),
        "kernel reads_outside_of_the_mask, block (0, 0, 0), thread (7, 0, 0), {0}: expected __shfl_down_sync "
        "to read lanes of "
        "its mask alone, lanes 0-7, got lane 7 reads lane 8");
  check(wrong_on_memory(20, reads_a_lane_that_is_not_there),
        "kernel reads_a_lane_that_is_not_there, block (0, 0, 0), thread (0, 0, 0), {0}: expected __shfl_sync "
        "to read lanes of "
        "its mask alone, lanes 0-19, got lane 0 reads lane 25");
  check(wrong_on_memory(32, wrong_width),
        "kernel wrong_width, block (0, 0, 0), thread (0, 0, 0), {0}: expected __shfl_down_sync of segments "
        "of 1, 2, 4, 8, 16 "
        "or 32 lanes, got 12");
}

TEST_CASE("lanes that wait for each other with different masks, or in different operations") {
  check(wrong_on_memory(32, two_masks),
        "kernel two_masks, block (0, 0, 0), thread (16, 0, 0), {1}: expected lanes 0, 16-31 to call "
        "__ballot_sync together, "
        "with one mask, got lane 16 with the mask 0xffff0001, while lanes 0-15 wait in __ballot_sync ({0}) "
        "with the mask "
        "0xffffffff");
  check(wrong_on_memory(32, two_operations),
        "kernel two_operations, block (0, 0, 0), thread (16, 0, 0), {1}: expected lanes 0-31 to call "
        "__shfl_sync together, "
        "with one mask, got lane 16 with the mask 0xffffffff, while lanes 0-15 wait in __shfl_xor_sync ({0}) "
        "with the mask "
        "0xffffffff");
}

TEST_CASE("mma by a part of a warp") {
  check(wrong_on_memory(20, ragged_mma),
        "kernel ragged_mma, block (0, 0, 0), thread (19, 0, 0), {0}: expected mma.m16n8k16 of bf16 by all 32 "
        "lanes of a warp, "
        "got a warp of 20 threads");
}

namespace {

__global__ void barrier_and_syncwarp() {
  if (threadIdx.x < 40) {
    HERE(0, __syncthreads());
  } else {
    HERE(1, __syncwarp());
  }
}
// Three parts of a warp wait for each other in a circle.
__global__ void circle() {
  const unsigned part = threadIdx.x / 8 % 4;
  if (part == 0) HERE(0, __syncwarp(0x0000ffffu));
  if (part == 1) HERE(1, __any_sync(0x00ffff00u, 1));
  if (part == 2) HERE(2, __syncwarp(0x00ff00ffu));
}

}  // namespace

TEST_CASE("a deadlock says where every lane waits") {
  check(wrong({1, 64}, barrier_and_syncwarp),
        "kernel barrier_and_syncwarp, block (0, 0, 0), thread (63, 0, 0): expected a thread that can go on, "
        "got a deadlock: "
        "every thread waits\n"
        "  warp 0: lanes 0-31 wait at __syncthreads ({0})\n"
        "  warp 1: lanes 0-7 wait at __syncthreads ({0}); lanes 8-31 wait in __syncwarp ({1}) with the mask "
        "0xffffffff");
  check(wrong({1, 64}, circle),
        "kernel circle, block (0, 0, 0), thread (63, 0, 0): expected a thread that can go on, got a "
        "deadlock: every thread "
        "waits\n"
        "  warps 0-1: lanes 0-7 wait in __syncwarp ({0}) with the mask 0x0000ffff; lanes 8-15 wait in "
        "__any_sync ({1}) with "
        "the mask 0x00ffff00; lanes 16-23 wait in __syncwarp ({2}) with the mask 0x00ff00ff; lanes 24-31 "
        "have returned");
}

namespace {

// Blocks 3, 5, 6 and 7 fail. The eight meet before as far as there are OS threads.
__global__ void some_fail() {
  meet();
  if (blockIdx.x == 3 || blockIdx.x >= 5) HERE(0, __syncwarp(0));
}

}  // namespace

TEST_CASE("of several blocks that fail the first one is reported, with any number of OS threads") {
  for (const int threads : {1, 2, 5})
    for (int again = 0; again < 5; ++again)
      with_threads(threads, [] {
        begin_meeting();
        check(wrong({8, 1}, some_fail),
              "kernel some_fail, block (3, 0, 0), thread (0, 0, 0), {0}: expected __syncwarp to be called by "
              "lanes of its mask "
              "0x00000000 alone, got lane 0, which is not in it");
      });
}

namespace {
__global__ void mma_in_two_branches() {
  float d[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  if (threadIdx.x < 16) {
    HERE(0, cuda::mma_bf16(d, a, b));
  } else {
    HERE(1, cuda::mma_bf16(d, a, b));
  }
}
__global__ void ldmatrix_in_two_branches() {
  __shared__ uint4 rows[8];
  if (threadIdx.x < 8) rows[threadIdx.x] = {0, 0, 0, 0};
  __syncwarp();
  uint32_t r[1];
  if (threadIdx.x < 16) {
    HERE(0, cuda::ldmatrix(r, &rows[threadIdx.x % 8]));
  } else {
    HERE(1, cuda::ldmatrix(r, &rows[threadIdx.x % 8]));
  }
}
}  // namespace

TEST_CASE("an aligned instruction that a warp reaches by two branches") {
  check(wrong({1, 32}, mma_in_two_branches),
        "kernel mma_in_two_branches, block (0, 0, 0), thread (31, 0, 0), {1}: expected all lanes of a warp "
        "at the "
        "same mma.m16n8k16 of bf16 ({1}), got lane 0 at the one at {0}");
  // Lane 31 went first behind __syncwarp, which it was the last to reach; so lane 30 comes last.
  check(wrong({1, 32}, ldmatrix_in_two_branches),
        "kernel ldmatrix_in_two_branches, block (0, 0, 0), thread (30, 0, 0), {1}: expected all lanes of a "
        "warp at "
        "the same ldmatrix.x1 ({1}), got lane 0 at the one at {0}");
}
