// What the tests of the executor share: the message of a wrong kernel, the line it stands at, a few OS threads, and the proof
// that the executor still works after an error.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <string>
#include <vector>

#include "cuda/core/device.hpp"
#include "cuda/core/error.hpp"
#include "cuda/core/kernel.hpp"
#include "cuda/simt/order.hpp"
#include "ref/core/parallel.hpp"

// Notes the line of a statement in a kernel, so that a test can expect it in a message:  HERE(0, x[n] = 1);
#define HERE(i, ...) (::dsllm::simt_test::line_of[i] = __LINE__, __VA_ARGS__)

namespace dsllm::simt_test {

using namespace dsllm::cuda;

inline std::atomic<int> line_of[4];

// What f() throws, or "no error".
template <class Error, class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

// What synchronize() says of one launch.
template <class... P, class... A>
std::string wrong(const LaunchShape& shape, void (*kernel)(P...), A&&... arguments) {
  Stream stream;
  return message_of<KernelError>([&] {
    launch(stream, shape, kernel, std::forward<A>(arguments)...);
    stream.synchronize();
  });
}

// Checks a message, in whose expected text {0} .. {3} stand for the lines of HERE(0), ...; and that the executor works on.
void check_message(const std::string& message, const char* expected, const char* file);

// Runs f with so many OS threads, then with as many as before.
template <class F>
void with_threads(int n, const F& f) {
  struct Restore {
    int before = dsllm::threads();
    ~Restore() { set_threads(before); }
  } restore;
  set_threads(n);
  f();
}

// Runs f in every order that the executor has.
template <class F>
void in_every_order(const F& f) {
  struct Restore {
    ~Restore() { simt::set_order("forward"); }
  } restore;
  for (const std::string order : {"forward", "backward", "random:1", "random:2", "random:3"}) {
    CAPTURE(order);
    simt::set_order(order);
    f();
  }
}

// Copies host values to the device and back around a launch.
template <class T>
std::vector<T> on_device(const LaunchShape& shape, void (*kernel)(T*), std::vector<T> values) {
  Stream stream;
  const DeviceMemory memory(static_cast<int64_t>(values.size() * sizeof(T)), "values", sizeof(T));
  copy_to_device(memory.data(), values.data(), memory.size(), stream);
  launch(stream, shape, kernel, reinterpret_cast<T*>(memory.data()));
  copy_to_host(values.data(), memory.data(), memory.size(), stream);
  stream.synchronize();
  return values;
}

// Called by the blocks of a kernel before their first barrier: returns when as many blocks have called it as there are OS
// threads, so that each of those runs one of them; or after two seconds. begin_meeting() comes before the launch.
void begin_meeting();
void meet();

// A kernel with shared memory, barriers and shuffles gives what it must, on every OS thread. To be called after an error:
// nothing of it may be left anywhere.
void check_still_works();

}  // namespace dsllm::simt_test
