// The device: its memory, its streams, its events. One interface over CUDA's runtime (device_gpu.cu) and over the executor
// that runs kernels on a CPU (cuda/simt/device.cpp); which of them a program has is decided when it is linked.
//
// A stream does what it is given in order, and later than the call returns: results are there after synchronize(). Work in
// two streams has no order except through events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "cuda/core/error.hpp"
#include "ref/core/tensor.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

enum class Backend {
  simt,     // the executor
  inspect,  // the executor, with kernels compiled for the inspector
  device,   // a GPU
};
Backend backend();

// Why nothing can be launched, in one line, or "": no device, a driver older than the toolkit, an architecture that the
// kernels were not compiled for.
std::string unavailable();

// "NVIDIA H100 80GB HBM3, compute capability 9.0, driver for CUDA 13.0", or what the executor is.
std::string device_name();

class Event;

class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Returns when everything in the stream is done. Throws the error of a wrong kernel (KernelError) or of the device
  // (DeviceError); what stood behind it in the stream is not done then.
  void synchronize();
  // What comes after this in the stream begins when the event has happened.
  void wait(Event& event);

  struct State;
  State& state() { return *state_; }
  const std::shared_ptr<State>& state_ptr() { return state_; }

 private:
  std::shared_ptr<State> state_;
};

// A point in a stream.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(Stream& stream);
  // Between two events that have happened. Throws ValueError if one of them was never recorded.
  static float milliseconds(Event& from, Event& to);

  struct State;
  State& state() { return *state_; }
  const std::shared_ptr<State>& state_ptr() { return state_; }

 private:
  std::shared_ptr<State> state_;
};

// Device memory with an owner. The name appears in messages; element_bytes is the size of what lies in it.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  // Not initialized. Throws DeviceError when memory runs out.
  DeviceMemory(int64_t bytes, const std::string& name, int64_t element_bytes = 1);
  DeviceMemory(DeviceMemory&& other) noexcept;
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;
  ~DeviceMemory();  // waits for all streams, as cudaFree does

  std::byte* data() const { return data_; }
  int64_t size() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

// The host's bytes are read before copy_to_device returns; those of copy_to_host are there after stream.synchronize().
void copy_to_device(void* device, const void* host, int64_t bytes, Stream& stream);
void copy_to_host(void* host, const void* device, int64_t bytes, Stream& stream);
void copy_on_device(void* to, const void* from, int64_t bytes, Stream& stream);
void fill_zero(void* device, int64_t bytes, Stream& stream);

// Of so many elements; throws ValueError for a negative extent or a size that overflows.
inline int64_t device_bytes(const std::string& name, const int64_t* extents, int n, int64_t element_bytes) {
  int64_t bytes = element_bytes;
  for (int d = 0; d < n; ++d)
    if (extents[d] < 0 || __builtin_mul_overflow(bytes, extents[d], &bytes))
      throw ValueError("DeviceTensor " + name, "extents whose bytes fit in 63 bits",
                       describe_shape(extents, n));
  return bytes;
}

// A View of device memory that owns it. Not initialized.
template <class T, int N>
class DeviceTensor : public View<T, N> {
 public:
  DeviceTensor() = default;
  template <class... Extent>
  requires(sizeof...(Extent) == N) explicit DeviceTensor(const std::string& name, Extent... extents)
      : View<T, N>(nullptr, {static_cast<int64_t>(extents)...}),
        memory_(device_bytes(name, this->extent, N, sizeof(T)), name, static_cast<int64_t>(sizeof(T))) {
    this->data = reinterpret_cast<T*>(memory_.data());
  }

  int64_t bytes() const { return this->size() * static_cast<int64_t>(sizeof(T)); }
  // `host` has as many elements. Throws ShapeError.
  void upload(View<const T, N> host, Stream& stream) {
    check_shape("DeviceTensor::upload", "host", host, this->extent);
    copy_to_device(this->data, host.data, bytes(), stream);
  }
  void download(View<T, N> host, Stream& stream) const {
    check_shape("DeviceTensor::download", "host", host, this->extent);
    copy_to_host(host.data, this->data, bytes(), stream);
  }

 private:
  DeviceMemory memory_;
};

}  // namespace dsllm::cuda
