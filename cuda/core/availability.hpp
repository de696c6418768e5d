// Why nothing can be launched: the decision apart from the questions, so that it can be tested where there is no GPU.
#pragma once

#include <string>

namespace dsllm::cuda {

// What CUDA's runtime answered.
struct DeviceFacts {
  int driver = 0;           // the newest CUDA that the driver knows, 13000 for 13.0; 0 without a driver
  int runtime = 0;          // the toolkit's
  int devices = 0;          // how many GPUs
  std::string count_error;  // of counting them, or ""
  std::string name;         // of the first one
  std::string image_error;  // of loading a kernel onto it, or ""
};

inline std::string cuda_version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

// One line, or "" if kernels can be launched.
inline std::string why_unavailable(const DeviceFacts& f) {
  if (f.driver == 0) return "no CUDA device: no NVIDIA driver is installed";
  // Within one major version a driver runs what newer toolkits compile ("minor version compatibility").
  if (f.driver / 1000 < f.runtime / 1000)
    return "no CUDA device: the driver is made for CUDA " + cuda_version(f.driver) +
           ", older than the toolkit's " + cuda_version(f.runtime);
  if (!f.count_error.empty()) return "no CUDA device: " + f.count_error;
  if (f.devices == 0) return "no CUDA device: a driver is there, a GPU is not";
  if (!f.image_error.empty())
    return "no kernels for " + f.name +
           ": they are compiled for compute capability 8.0 and 9.0 and what comes after (" + f.image_error +
           ")";
  return {};
}

}  // namespace dsllm::cuda
