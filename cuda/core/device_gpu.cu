// The device interface over CUDA's runtime. Every call is checked; an error names the operation and, where it comes from a
// kernel, the launches since the last synchronize.
#include <cuda_runtime.h>
#include <cxxabi.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <utility>

#include "cuda/core/availability.hpp"
#include "cuda/core/device.hpp"
#include "cuda/core/launch_gpu.hpp"

namespace dsllm::cuda {

struct Stream::State {
  cudaStream_t stream = nullptr;
  std::deque<std::string> launches;  // since the last synchronize, the newest last; only for messages
};

struct Event::State {
  cudaEvent_t event = nullptr;
  bool recorded = false;
};

namespace {

constexpr size_t remembered_launches = 8;

std::string name_of(const void* kernel) {
  const char* symbol = nullptr;
  if (cudaFuncGetName(&symbol, kernel) != cudaSuccess || symbol == nullptr) return "a kernel";
  int status = 0;
  char* text = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
  const std::string name = status == 0 ? text : symbol;
  std::free(text);
  return name;
}

std::string text_of(cudaError_t error) {
  return std::string(cudaGetErrorName(error)) + ": " + cudaGetErrorString(error);
}

// A kernel that goes wrong is reported by whatever call comes next, so its launch is one of the last.
[[noreturn]] void throw_of_stream(Stream& stream, const std::string& operation, cudaError_t error) {
  cudaGetLastError();
  std::string among;
  for (const std::string& launch : std::exchange(stream.state().launches, {})) among += "\n  " + launch;
  if (among.empty()) throw DeviceError(operation, "success", text_of(error));
  throw KernelError(operation, "kernels that run to their end",
                    text_of(error) + "; in one of the last launches:" + among);
}

// Errors of a launch itself, and not of what ran before it.
bool is_of_launch(cudaError_t error) {
  return error == cudaErrorInvalidConfiguration || error == cudaErrorLaunchOutOfResources ||
         error == cudaErrorInvalidValue || error == cudaErrorInvalidDeviceFunction ||
         error == cudaErrorNoKernelImageForDevice || error == cudaErrorSharedObjectInitFailed;
}

std::string describe(dim3 n) {
  return "(" + std::to_string(n.x) + ", " + std::to_string(n.y) + ", " + std::to_string(n.z) + ")";
}

// So that a device for which nothing was compiled is seen before the first real launch.
__global__ void nothing() {}

}  // namespace

namespace gpu {

void check(cudaError_t error, const std::string& operation) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // forget it, unless it is one that stays
  throw DeviceError(operation, "success", text_of(error));
}

cudaStream_t native(Stream& stream) {
  return stream.state().stream;
}

void launch_function(Stream& stream, const void* kernel, dim3 grid, dim3 block, int64_t shared_bytes,
                     void** arguments) {
  const std::string what = "launch <<<" + describe(grid) + ", " + describe(block) + ", " +
                           std::to_string(shared_bytes) + ">>> of " + name_of(kernel);
  cudaError_t error = cudaSuccess;
  if (shared_bytes > 48 * 1024)
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared_bytes));
  if (error == cudaSuccess)
    error =
        cudaLaunchKernel(kernel, grid, block, arguments, static_cast<size_t>(shared_bytes), native(stream));
  if (is_of_launch(error)) {
    cudaGetLastError();
    throw KernelError(what, "a launch that this device can do", text_of(error));
  }
  if (error != cudaSuccess) throw_of_stream(stream, what, error);
  std::deque<std::string>& launches = stream.state().launches;
  launches.push_back(what);
  if (launches.size() > remembered_launches) launches.pop_front();
}

}  // namespace gpu

using gpu::check;

Backend backend() {
  return Backend::device;
}

std::string unavailable() {
  DeviceFacts facts;
  const auto text = [](cudaError_t error) { return error == cudaSuccess ? "" : cudaGetErrorString(error); };
  if (cudaDriverGetVersion(&facts.driver) != cudaSuccess) facts.driver = 0;
  if (cudaRuntimeGetVersion(&facts.runtime) != cudaSuccess) facts.runtime = 0;
  facts.count_error = text(cudaGetDeviceCount(&facts.devices));
  if (facts.devices > 0) {
    cudaFuncAttributes attributes;
    facts.name = device_name();
    facts.image_error = text(cudaFuncGetAttributes(&attributes, nothing));
  }
  cudaGetLastError();
  return why_unavailable(facts);
}

std::string device_name() {
  int device = 0, driver = 0;
  cudaDeviceProp properties;
  if (cudaGetDevice(&device) != cudaSuccess || cudaGetDeviceProperties(&properties, device) != cudaSuccess ||
      cudaDriverGetVersion(&driver) != cudaSuccess)
    return "no CUDA device";
  return std::string(properties.name) + ", compute capability " + std::to_string(properties.major) + "." +
         std::to_string(properties.minor) + ", driver for CUDA " + cuda_version(driver);
}

Stream::Stream() : state_(std::make_shared<State>()) {
  check(cudaStreamCreateWithFlags(&state_->stream, cudaStreamNonBlocking), "Stream");
}

Stream::~Stream() {
  if (const cudaError_t error = cudaStreamSynchronize(state_->stream); error != cudaSuccess)
    std::fprintf(stderr, "a stream ends with an error that nobody waited for: %s\n", text_of(error).c_str());
  cudaStreamDestroy(state_->stream);
}

void Stream::synchronize() {
  const cudaError_t error = cudaStreamSynchronize(state_->stream);
  if (error != cudaSuccess) throw_of_stream(*this, "Stream::synchronize", error);
  state_->launches.clear();
}

void Stream::wait(Event& event) {
  check(cudaStreamWaitEvent(state_->stream, event.state().event), "Stream::wait");
}

Event::Event() : state_(std::make_shared<State>()) {
  check(cudaEventCreate(&state_->event), "Event");
}

Event::~Event() {
  cudaEventDestroy(state_->event);
}

void Event::record(Stream& stream) {
  check(cudaEventRecord(state_->event, gpu::native(stream)), "Event::record");
  state_->recorded = true;
}

float Event::milliseconds(Event& from, Event& to) {
  if (!from.state_->recorded || !to.state_->recorded)
    throw ValueError("Event::milliseconds", "two events that have happened", "one that has not");
  float ms = 0;
  check(cudaEventElapsedTime(&ms, from.state_->event, to.state_->event), "Event::milliseconds");
  return ms;
}

DeviceMemory::DeviceMemory(int64_t bytes, const std::string& name, int64_t) : bytes_(bytes) {
  const std::string what = "allocate " + name;
  if (bytes < 0) throw DeviceError(what, "a number of bytes", std::to_string(bytes));
  if (bytes == 0) return;
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, static_cast<size_t>(bytes));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    throw DeviceError(what, "at most " + std::to_string(free) + " bytes, which are free",
                      std::to_string(bytes) + " bytes");
  }
  check(error, what);
  data_ = static_cast<std::byte*>(memory);
}

DeviceMemory::DeviceMemory(DeviceMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (data_ != nullptr) cudaFree(data_);
}

static void copy(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind, Stream& stream,
                 const char* operation) {
  if (bytes < 0) throw DeviceError(operation, "a number of bytes", std::to_string(bytes));
  if (bytes == 0) return;
  const cudaError_t error = cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, gpu::native(stream));
  if (error != cudaSuccess) throw_of_stream(stream, operation, error);
}

void copy_to_device(void* device, const void* host, int64_t bytes, Stream& stream) {
  copy(device, host, bytes, cudaMemcpyHostToDevice, stream, "copy_to_device");
}

void copy_to_host(void* host, const void* device, int64_t bytes, Stream& stream) {
  copy(host, device, bytes, cudaMemcpyDeviceToHost, stream, "copy_to_host");
}

void copy_on_device(void* to, const void* from, int64_t bytes, Stream& stream) {
  copy(to, from, bytes, cudaMemcpyDeviceToDevice, stream, "copy_on_device");
}

void fill_zero(void* device, int64_t bytes, Stream& stream) {
  if (bytes == 0) return;
  const cudaError_t error = cudaMemsetAsync(device, 0, static_cast<size_t>(bytes), gpu::native(stream));
  if (error != cudaSuccess) throw_of_stream(stream, "fill_zero", error);
}

}  // namespace dsllm::cuda
