// How a kernel becomes a candidate: the arguments of a Call in device memory, and back.
#pragma once

#include <fmt/format.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda/core/device.hpp"
#include "tests/judge/pair.hpp"

namespace dsllm::tests {

// While it lives, every argument of the call has its copy in device memory, outputs too: what a kernel does not write
// keeps the pattern that the judge looks for. Arguments that are aliased are one piece of memory there as well.
//
// The executor knows the bounds of each allocation, so there an allocation is exactly the argument. A GPU does not: there
// it is the argument between its guards, which come back with it.
class OnDevice {
 public:
  explicit OnDevice(Call& call) : call_(call) {
    for (const Argument& a : call.arguments()) place(call.array(a.name), a.name);
  }

  template <class T, int N>
  View<const T, N> in(const std::string& name) {
    return out<T, N>(name);
  }
  // Throws ValueError unless T and N are those of the argument, as Call::out does.
  template <class T, int N>
  View<T, N> out(const std::string& name) {
    return on_device<T, N>(call_.array(name));
  }
  double number(const std::string& name) const { return call_.number(name); }
  int64_t size(const std::string& name) const { return call_.size(name); }

  // Working memory, which begins as NaN and lives as long as this. After reset() the same calls give the same memory.
  template <class T, class... Extent>
  View<T, static_cast<int>(sizeof...(Extent))> scratch(Extent... extents) {
    const std::vector<int64_t> shape{static_cast<int64_t>(extents)...};
    if (scratch_used_ == scratch_.size())
      place(scratch_.emplace_back(dtype_of<T>, shape), fmt::format("scratch {}", scratch_.size()));
    GuardedArray& array = scratch_[scratch_used_++];
    if (array.shape() != shape) throw ValueError("scratch", "the shape of the first launch", "another");
    return on_device<T, static_cast<int>(sizeof...(Extent))>(array);
  }

  // What else a kernel is given in device memory, as make() makes it: once, and kept as long as this, so that a run that is
  // timed does not allocate. After reset() the same calls give the same objects.
  template <class F>
  auto& keep(const F& make) {
    using Object = std::invoke_result_t<F>;
    if (kept_used_ == kept_.size()) kept_.push_back(std::make_shared<Object>(make()));
    return *static_cast<Object*>(kept_[kept_used_++].get());
  }

  cuda::Stream& stream() { return stream_; }

  // As it was in the beginning: for another run on the same arguments.
  void reset() {
    scratch_used_ = kept_used_ = 0;
    for (auto& [array, memory] : memory_) upload(*array, memory);
  }

  // Waits, and copies everything back, inputs too, so that the judge sees whether they changed. Throws what the kernels
  // did wrong.
  void finish() {
    for (auto& [array, memory] : memory_) {
      const std::span<std::byte> bytes = image(*array);
      cuda::copy_to_host(bytes.data(), memory.data(), static_cast<int64_t>(bytes.size()), stream_);
    }
    stream_.synchronize();
    for (size_t i = 0; i < scratch_.size(); ++i)
      if (!scratch_[i].guards_intact())
        throw cuda::KernelError(fmt::format("scratch {}", i + 1), "no write outside of it", "one");
  }

 private:
  // The bytes of an array that are on the device.
  static std::span<std::byte> image(GuardedArray& array) {
    return cuda::backend() == cuda::Backend::device ? array.all_bytes() : array.element_bytes();
  }

  void place(GuardedArray& array, const std::string& name) {
    if (memory_.count(&array) != 0) return;
    const std::span<std::byte> bytes = image(array);
    const int64_t n = static_cast<int64_t>(bytes.size());
    cuda::DeviceMemory memory(n, name, describe(array.dtype()).size);
    upload(array, memory);
    memory_.emplace(&array, std::move(memory));
  }

  void upload(GuardedArray& array, const cuda::DeviceMemory& memory) {
    const std::span<std::byte> bytes = image(array);
    cuda::copy_to_device(memory.data(), bytes.data(), static_cast<int64_t>(bytes.size()), stream_);
  }

  template <class T, int N>
  View<T, N> on_device(GuardedArray& array) {
    View<T, N> v = array.view<T, N>();
    v.data = reinterpret_cast<T*>(memory_.at(&array).data() + (array.elements() - image(array).data()));
    return v;
  }

  Call& call_;
  cuda::Stream stream_;
  std::deque<GuardedArray> scratch_;  // where they are does not change when another comes
  std::vector<std::shared_ptr<void>> kept_;
  size_t scratch_used_ = 0, kept_used_ = 0;
  std::map<GuardedArray*, cuda::DeviceMemory> memory_;
};

// The candidate "cuda float, <step>" or "cuda bf16, <step>" of a kernel run.operator()<T>(OnDevice&).
template <class T, class F>
Candidate cuda_candidate(const std::string& step, F run, Traits traits = {}) {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, bf16>);
  const auto launch = [run](OnDevice& device) { run.template operator()<T>(device); };
  Candidate c{fmt::format("cuda {}, {}", std::is_same_v<T, float> ? "float" : "bf16", step), dtype_of<T>,
              dtype_of<T>, [launch](Call& call) {
                OnDevice device(call);
                launch(device);
                device.finish();
              }};
  c.arithmetic = DType::f32;
  c.backend = cuda::backend() == cuda::Backend::device ? Backend::cuda_on_device : Backend::cuda_on_cpu;
  c.traits = std::move(traits);
  c.launch = launch;
  return c;
}

// One candidate for each type T...
template <class... T, class F>
void add_cuda(Pair& pair, const std::string& step, F run, Traits traits = {}) {
  (pair.candidates.push_back(cuda_candidate<T>(step, run, traits)), ...);
}

}  // namespace dsllm::tests
