#include "cuda/simt/launch.hpp"

#include <fmt/format.h>

#include <atomic>
#include <charconv>

#include "cuda/simt/limits.hpp"
#include "cuda/simt/memory.hpp"
#include "cuda/simt/observer.hpp"
#include "cuda/simt/symbols.hpp"
#include "ref/core/parallel.hpp"

namespace dsllm::cuda::simt {

Observer* observer = nullptr;

namespace {

Order chosen_order;

std::string shape_of(const Grid& g) {
  return fmt::format("launch <<<({}, {}, {}), ({}, {}, {}), {}>>> of {}", g.grid.x, g.grid.y, g.grid.z,
                     g.block.x, g.block.y, g.block.z, g.shared_bytes, function_name(g.function));
}

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
  const auto check = [&](bool ok, const std::string& expected, const std::string& got) {
    if (!ok) throw KernelError(shape_of(g), expected, got);
  };
  const auto counts = [](Index3 n) { return fmt::format("({}, {}, {})", n.x, n.y, n.z); };
  check(g.grid.x > 0 && g.grid.y > 0 && g.grid.z > 0, "at least one block", counts(g.grid));
  check(g.block.x > 0 && g.block.y > 0 && g.block.z > 0, "at least one thread a block", counts(g.block));
  check(g.grid.x <= 2147483647u && g.grid.y <= 65535 && g.grid.z <= 65535,
        "at most (2147483647, 65535, 65535) blocks", counts(g.grid));
  const int64_t threads = int64_t{g.block.x} * g.block.y * g.block.z;
  check(g.block.x <= 1024 && g.block.y <= 1024 && g.block.z <= 64 && threads <= most.block_threads,
        fmt::format("at most {} threads a block on an {}, (1024, 1024, 64) by dimension", most.block_threads,
                    most.gpu),
        fmt::format("{} threads", threads));
  check(g.shared_bytes >= 0 && g.shared_bytes <= most.shared_bytes,
        fmt::format("at most {} bytes of shared memory a block on an {}", most.shared_bytes, most.gpu),
        fmt::format("{} bytes", g.shared_bytes));
}

void run_grid(const Grid& grid) {
  const int64_t blocks = int64_t{grid.grid.x} * grid.grid.y * grid.grid.z;
  const Order kind = order();
  const auto turn = [&](int64_t i) { return kind.kind == Order::backward ? blocks - 1 - i : i; };
  if (observer) {
    observer->grid_begins(grid);
    for (int64_t i = 0; i < blocks; ++i) block_of_this_thread().run(grid, turn(i));
    observer->grid_ends(grid);
  } else {
    parallel_for(blocks, [&](int64_t i) { block_of_this_thread().run(grid, turn(i)); });
  }
  if (const std::string where = trespasses(); !where.empty())
    throw KernelError(fmt::format("kernel {}", function_name(grid.function)), "writes to device memory alone",
                      where);
}

}  // namespace dsllm::cuda::simt
