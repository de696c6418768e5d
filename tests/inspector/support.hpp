// What the inspector's tests share.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "cuda/core/device.hpp"
#include "cuda/core/error.hpp"
#include "cuda/simt/inspector/inspector.hpp"
#include "cuda/simt/order.hpp"

namespace dsllm::cuda {

using simt::inspector::KernelReport;
using simt::inspector::Kind;
using simt::inspector::LineReport;
using simt::inspector::RaceReport;
using simt::inspector::Report;

// The line of the source that has "// line: mark" at its end.
inline int line_of(const std::string& file, const std::string& mark) {
  std::ifstream source(std::string(DSLLM_SOURCE_DIR) + "/tests/inspector/" + file);
  std::string line;
  for (int n = 1; std::getline(source, line); ++n) {
    const auto at = line.find("// line: ");
    if (at != std::string::npos && line.substr(at + 9) == mark) return n;
  }
  FAIL("no line " << mark << " in " << file);
  return 0;
}
inline std::string place_of(const std::string& file, const std::string& mark) {
  return file + ":" + std::to_string(line_of(file, mark));
}

// The report of what f does.
template <class F>
Report inspect(const F& f) {
  simt::inspector::begin();
  f();
  return simt::inspector::end();
}

// The message that f ends with, without the operation at its front.
template <class F>
std::string message_of(const F& f) {
  simt::inspector::begin();
  std::string text = "no error";
  try {
    f();
  } catch (const KernelError& e) {
    text = e.what();
  }
  (void)simt::inspector::end();
  return text;
}

// As many as n elements of T, all zero.
template <class T>
DeviceTensor<T, 1> zeros(const std::string& name, int64_t n) {
  DeviceTensor<T, 1> x(name, n);
  Stream stream;
  fill_zero(x.data, x.bytes(), stream);
  stream.synchronize();
  return x;
}

}  // namespace dsllm::cuda
