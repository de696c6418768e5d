// What is said where kernels cannot run on a GPU.
#include "cuda/core/availability.hpp"

#include <doctest/doctest.h>

using namespace dsllm::cuda;

TEST_CASE("availability: each reason is one line that names it") {
  const DeviceFacts good{13000, 13000, 1, "", "NVIDIA H100", ""};
  CHECK(why_unavailable(good) == "");
  DeviceFacts f = good;
  f.driver = 0;
  CHECK(why_unavailable(f) == "no CUDA device: no NVIDIA driver is installed");
  f = good;
  f.driver = 12040;
  CHECK(why_unavailable(f) ==
        "no CUDA device: the driver is made for CUDA 12.4, older than the toolkit's 13.0");
  f = good;
  f.driver = 13020;  // newer
  CHECK(why_unavailable(f) == "");
  f = good;
  f.runtime = 13020;  // newer, within one major version
  CHECK(why_unavailable(f) == "");
  f = good;
  f.count_error = "no CUDA-capable device is detected";
  CHECK(why_unavailable(f) == "no CUDA device: no CUDA-capable device is detected");
  f = good;
  f.devices = 0;
  CHECK(why_unavailable(f) == "no CUDA device: a driver is there, a GPU is not");
  f = good;
  f.name = "Tesla T4";
  f.image_error = "no kernel image is available for execution on the device";
  CHECK(why_unavailable(f) ==
        "no kernels for Tesla T4: they are compiled for compute capability 8.0 and 9.0 and what comes after "
        "(no kernel image "
        "is available for execution on the device)");
}
