// Launching a kernel on the executor.
#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda/core/device.hpp"
#include "cuda/simt/block.hpp"

namespace dsllm::cuda::simt {

// Throws KernelError if the GPU whose limits are chosen (limits.hpp) could not run such a launch.
void check_launch(const Grid& grid);

// Runs all blocks, as many at a time as there are threads (ref/core/parallel.hpp), and looks around every allocation
// afterwards. Throws KernelError.
void run_grid(const Grid& grid);

// At the end of the stream. `arguments` is copied; run(arguments) is called when its turn comes.
void enqueue(Stream& stream, std::shared_ptr<const void> arguments, const Grid& grid);

template <class... P, class... A>
void launch(Stream& stream, Index3 grid, Index3 block, int64_t shared_bytes, void (*kernel)(P...),
            A&&... arguments) {
  struct Call {
    void (*kernel)(P...);
    std::tuple<std::remove_cv_t<P>...> arguments;
  };
  // Kernel arguments are copied when the launch is made, as on a device.
  auto call = std::make_shared<Call>(Call{kernel, {std::forward<A>(arguments)...}});
  Grid g;
  g.call = [](const void* c) {
    const Call& self = *static_cast<const Call*>(c);
    std::apply(self.kernel, self.arguments);
  };
  g.arguments = call.get();
  g.argument_bytes = sizeof(Call);
  g.function = reinterpret_cast<const void*>(kernel);
  g.grid = grid;
  g.block = block;
  g.shared_bytes = shared_bytes;
  check_launch(g);
  enqueue(stream, std::move(call), g);
}

}  // namespace dsllm::cuda::simt
