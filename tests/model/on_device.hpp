// Arrays in device memory for tests, at an address of the test's choice.
#pragma once

#include "cuda/core/device.hpp"
#include "tests/model/support.hpp"

namespace dsllm::tests {

// A copy of `host` that begins `offset` elements behind a multiple of 16 bytes.
template <class T, int N>
class Placed : public View<T, N> {
 public:
  Placed(const View<T, N>& host, int64_t offset, cuda::Stream& stream)
      : View<T, N>(host), memory_("placed", offset + host.size()), stream_(stream) {
    this->data = memory_.data + offset;
    cuda::copy_to_device(this->data, host.data, bytes(), stream);
  }
  // Waits for the stream.
  Tensor<T, N> back() const {
    Tensor<T, N> host = Tensor<T, N>::like(*this);
    cuda::copy_to_host(host.data, this->data, bytes(), stream_);
    stream_.synchronize();
    return host;
  }

 private:
  int64_t bytes() const { return this->size() * static_cast<int64_t>(sizeof(T)); }

  cuda::DeviceTensor<T, 1> memory_;
  cuda::Stream& stream_;
};

// N(0, 1), rounded to T.
template <class T, class... Extent>
auto random_as(uint64_t seed, Extent... extents) {
  const auto x = random<float>(seed, 1, extents...);
  Tensor<T, static_cast<int>(sizeof...(Extent))> rounded(extents...);
  for (int64_t i = 0; i < x.size(); ++i) rounded.data[i] = T(x.data[i]);
  return rounded;
}

}  // namespace dsllm::tests
