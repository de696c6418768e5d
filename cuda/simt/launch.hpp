// Launching a kernel on the executor.
#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda/core/device.hpp"
#include "cuda/simt/block.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda::simt {

// Throws KernelError if the GPU whose limits are chosen (limits.hpp) could not run such a launch.
void check_launch(const Grid& grid);

// Throws KernelError if a kernel is given a pointer that is neither null nor of the device: on a CPU it could be used, on a GPU
// not. `argument` counts from 0.
void check_pointer(const Grid& grid, int argument, const void* pointer);
template <class T>
void check_argument(const Grid& grid, int argument, const T& value) {
  if constexpr (std::is_pointer_v<T>) {
    if constexpr (!std::is_function_v<std::remove_pointer_t<T>>) check_pointer(grid, argument, value);
  }
}
template <class T, int N>
void check_argument(const Grid& grid, int argument, const View<T, N>& view) {
  if (view.size() > 0) check_pointer(grid, argument, view.data);
}

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
  g.begin = [] {
    const Call& self = *static_cast<const Call*>(current->grid().arguments);
    std::apply(self.kernel, self.arguments);
    current->end_thread();
  };
  g.arguments = call.get();
  g.argument_bytes = sizeof(Call);
  g.function = reinterpret_cast<const void*>(kernel);
  g.grid = grid;
  g.block = block;
  g.shared_bytes = shared_bytes;
  check_launch(g);
  std::apply([&, i = 0](const auto&... each) mutable { (check_argument(g, i++, each), ...); },
             call->arguments);
  enqueue(stream, std::move(call), g);
}

}  // namespace dsllm::cuda::simt
