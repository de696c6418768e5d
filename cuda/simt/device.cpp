// The device interface over the executor. A stream is a queue that runs when somebody waits for it, so that a program
// which forgets to wait sees what it would see on a GPU: nothing yet.
#include "cuda/core/device.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <functional>
#include <set>
#include <vector>

#include "cuda/simt/launch.hpp"
#include "cuda/simt/memory.hpp"
#include "ref/core/parallel.hpp"

namespace dsllm::cuda {

struct Stream::State {
  std::deque<std::function<void()>> work;
  std::exception_ptr error;

  // Does everything in the queue, or everything up to an event that `done` reports. After an error nothing is done any more,
  // until synchronize() has reported it.
  void run(const std::function<bool()>& done = [] { return false; }) {
    if (error) work.clear();
    while (!work.empty() && !done()) {
      const std::function<void()> next = std::move(work.front());
      work.pop_front();
      try {
        next();
      } catch (...) {
        work.clear();
        error = std::current_exception();
      }
    }
  }
};

struct Event::State {
  int64_t recorded = 0,
          happened = 0;  // how often; an event that is recorded again keeps its earlier points apart
  std::weak_ptr<Stream::State> stream;
  std::chrono::steady_clock::time_point time;
};

namespace {

std::set<Stream::State*> streams;

void run_all_streams() {
  for (Stream::State* s : streams) s->run();
}

// A copy that leaves its allocation is refused when it is made: cudaMemcpy knows its allocations too.
void check_range(const char* operation, const void* device, int64_t bytes) {
  if (bytes == 0) return;
  const auto allocation = simt::find_allocation(device);
  const auto* p = static_cast<const std::byte*>(device);
  if (!allocation) throw DeviceError(operation, "device memory", simt::describe_address(device));
  if (bytes < 0 || p + bytes > allocation->data + allocation->bytes)
    throw DeviceError(operation,
                      fmt::format("at most the {} bytes that are left of '{}'",
                                  allocation->data + allocation->bytes - p, allocation->name),
                      fmt::format("{} bytes", bytes));
}

}  // namespace

Stream::Stream() : state_(std::make_shared<State>()) {
  streams.insert(state_.get());
}

Stream::~Stream() {
  state_->run();
  streams.erase(state_.get());
  if (!state_->error) return;
  try {
    std::rethrow_exception(state_->error);
  } catch (const std::exception& e) {
    fmt::print(stderr, "a stream ends with an error that nobody waited for: {}\n", e.what());
  }
}

void Stream::synchronize() {
  state_->run();
  if (state_->error) std::rethrow_exception(std::exchange(state_->error, nullptr));
}

// For what was recorded until now; an event that never was has nothing to wait for.
void Stream::wait(Event& event) {
  const auto happened = [e = event.state_ptr(), point = event.state().recorded] {
    return e->happened >= point;
  };
  state_->work.emplace_back([happened, recorder = event.state().stream] {
    if (const auto other = recorder.lock(); other && !happened()) other->run(happened);
    if (!happened())
      throw DeviceError("Stream::wait", "an event that happens",
                        "one that its stream dropped after an error");
  });
}

Event::Event() : state_(std::make_shared<State>()) {}
Event::~Event() = default;

void Event::record(Stream& stream) {
  state_->stream = stream.state_ptr();
  stream.state().work.emplace_back([e = state_, point = ++state_->recorded] {
    e->happened = std::max(e->happened, point);
    e->time = std::chrono::steady_clock::now();
  });
}

float Event::milliseconds(Event& from, Event& to) {
  for (const Event* e : {&from, &to})
    if (e->state_->happened == 0 || e->state_->happened < e->state_->recorded)
      throw ValueError("Event::milliseconds", "two events that have happened", "one that has not");
  return std::chrono::duration<float, std::milli>(to.state_->time - from.state_->time).count();
}

DeviceMemory::DeviceMemory(int64_t bytes, const std::string& name, int64_t element_bytes)
    : data_(simt::allocate(bytes, name, element_bytes)), bytes_(bytes) {}

DeviceMemory::DeviceMemory(DeviceMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (data_ == nullptr) return;
  run_all_streams();
  simt::release(data_);
}

void copy_to_device(void* device, const void* host, int64_t bytes, Stream& stream) {
  check_range("copy_to_device", device, bytes);
  const auto* p = static_cast<const std::byte*>(host);
  stream.state().work.emplace_back([device, staged = std::vector<std::byte>(p, p + bytes)] {
    if (!staged.empty()) std::memcpy(device, staged.data(), staged.size());
  });
}

static void copy_later(void* to, const void* from, int64_t bytes, Stream& stream) {
  stream.state().work.emplace_back([=] {
    if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  });
}

void copy_to_host(void* host, const void* device, int64_t bytes, Stream& stream) {
  check_range("copy_to_host", device, bytes);
  copy_later(host, device, bytes, stream);
}

void copy_on_device(void* to, const void* from, int64_t bytes, Stream& stream) {
  check_range("copy_on_device", from, bytes);
  check_range("copy_on_device", to, bytes);
  copy_later(to, from, bytes, stream);
}

void fill_zero(void* device, int64_t bytes, Stream& stream) {
  check_range("fill_zero", device, bytes);
  stream.state().work.emplace_back([=] {
    if (bytes > 0) std::memset(device, 0, static_cast<size_t>(bytes));
  });
}

std::string unavailable() {
  return {};
}

std::string device_name() {
  return fmt::format("the executor on {} threads of this CPU", threads());
}

namespace simt {

void enqueue(Stream& stream, std::shared_ptr<const void> arguments, const Grid& grid) {
  stream.state().work.emplace_back([arguments = std::move(arguments), grid] { run_grid(grid); });
}

}  // namespace simt
}  // namespace dsllm::cuda
