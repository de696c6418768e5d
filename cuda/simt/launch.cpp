#include "cuda/simt/launch.hpp"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <cstring>
#include <numeric>

#include "cuda/simt/faults.hpp"
#include "cuda/simt/limits.hpp"
#include "cuda/simt/memory.hpp"
#include "cuda/simt/observer.hpp"
#include "cuda/simt/symbols.hpp"
#include "ref/core/parallel.hpp"
#include "ref/core/philox.hpp"

namespace dsllm::cuda::simt {

Observer* observer = nullptr;

namespace {

Order chosen_order;

std::string shape_of(const Grid& g) {
  return fmt::format("launch <<<({}, {}, {}), ({}, {}, {}), {}>>> of {}", g.grid.x, g.grid.y, g.grid.z,
                     g.block.x, g.block.y, g.block.z, g.shared_bytes, function_name(g.function));
}

// Which block comes i-th. The random order is i -> step i + begin modulo the number of blocks, where step shares no divisor with
// it: every block comes once, and nothing has to be stored.
class Turns {
 public:
  explicit Turns(int64_t blocks) : blocks_(blocks) {
    const Order chosen = order();
    if (chosen.kind == Order::backward) begin_ = blocks - 1, step_ = blocks - 1;
    if (chosen.kind != Order::random) return;
    const PhiloxBlock random = philox_block(chosen.seed, 1, 0);
    begin_ = random.word[0] % blocks;
    step_ = random.word[1] % blocks;
    while (std::gcd(step_, blocks) != 1) step_ = (step_ + 1) % blocks;
  }
  int64_t operator()(int64_t i) const {
    return static_cast<int64_t>(
        (static_cast<Wide>(i) * static_cast<Wide>(step_) + static_cast<Wide>(begin_)) %
        static_cast<Wide>(blocks_));
  }

 private:
  __extension__ using Wide = unsigned __int128;  // blocks: up to 2^63
  int64_t blocks_, begin_ = 0, step_ = 1;
};

// A block needs a megabyte of bookkeeping and its stacks; each OS thread keeps one.
Block& block_of_this_thread() {
  static thread_local std::unique_ptr<Block> block;
  if (!block) block = std::make_unique<Block>();
  return *block;
}

}  // namespace

void set_order(Order order) {
  chosen_order = order;
}

void set_order(const std::string& text) {
  Order order;
  const auto fail = [&] { throw ValueError("order", "forward, backward or random:SEED", text); };
  if (text == "backward") {
    order.kind = Order::backward;
  } else if (text.rfind("random:", 0) == 0) {
    order.kind = Order::random;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + 7, end, order.seed);
    if (error != std::errc{} || stop != end) fail();
  } else if (text != "forward") {
    fail();
  }
  set_order(order);
}

Order order() {
  return chosen_order;
}

void check_launch(const Grid& g) {
  const Limits& most = limits();
  const std::string gpu = (std::strchr("aehioru", most.gpu[0]) ? "an " : "a ") + most.gpu;  // an h100, a v100
  const auto check = [&](bool ok, const std::string& expected, const std::string& got) {
    if (!ok) throw KernelError(shape_of(g), expected, got);
  };
  const auto counts = [](Index3 n) { return fmt::format("({}, {}, {})", n.x, n.y, n.z); };
  check(g.grid.x > 0 && g.grid.y > 0 && g.grid.z > 0, "at least one block", counts(g.grid));
  check(g.block.x > 0 && g.block.y > 0 && g.block.z > 0, "at least one thread a block", counts(g.block));
  check(g.grid.x <= 2147483647u && g.grid.y <= 65535 && g.grid.z <= 65535,
        "at most (2147483647, 65535, 65535) blocks", counts(g.grid));
  check(
      g.block.x <= 1024 && g.block.y <= 1024 && g.block.z <= 64 &&
          int64_t{g.block.x} * g.block.y * g.block.z <= most.block_threads,
      fmt::format("at most {} threads a block on {}, (1024, 1024, 64) by dimension", most.block_threads, gpu),
      counts(g.block));
  check(g.shared_bytes >= 0 && g.shared_bytes <= most.shared_bytes,
        fmt::format("at most {} bytes of shared memory a block on {}", most.shared_bytes, gpu),
        fmt::format("{} bytes", g.shared_bytes));
}

void check_pointer(const Grid& g, int argument, const void* pointer) {
  if (observer) return;  // who sees the accesses themselves
  if (pointer == nullptr || is_device_address(pointer)) return;
  throw KernelError(fmt::format("kernel {}", function_name(g.function)), "pointers to device memory",
                    fmt::format("argument {}: {}", argument, describe_address(pointer)));
}

namespace {

void run_blocks(const Grid& grid) {
  const int64_t blocks = int64_t{grid.grid.x} * grid.grid.y * grid.grid.z;
  const Turns turn(blocks);
  if (observer) {
    observer->grid_begins(grid);
    for (int64_t i = 0; i < blocks; ++i) block_of_this_thread().run(grid, turn(i));
    observer->grid_ends(grid);
    return;
  }
  // The error of the earliest block is reported, whatever the number of threads; blocks behind one that failed are left out.
  std::atomic<int64_t> failed = blocks;
  parallel_for(blocks, [&](int64_t i) {
    if (i > failed.load(std::memory_order_relaxed)) return;
    try {
      block_of_this_thread().run(grid, turn(i));
    } catch (...) {
      int64_t before = failed;
      while (i < before && !failed.compare_exchange_weak(before, i)) {
      }
      throw;
    }
  });
}

}  // namespace

void run_grid(const Grid& grid) {
  {
    const FaultHandlers handlers;
    try {
      run_blocks(grid);
    } catch (...) {
      trespasses();  // of a kernel that has already failed; the next one shall not answer for them
      throw;
    }
  }
  if (const std::string where = trespasses(); !where.empty())
    throw KernelError(fmt::format("kernel {}", function_name(grid.function)), "writes to device memory alone",
                      where);
}

}  // namespace dsllm::cuda::simt
