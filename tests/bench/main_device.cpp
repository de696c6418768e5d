// dsllm-bench-device: every kernel on a GPU.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "cuda/core/device.hpp"
#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "tests/bench/device_report.hpp"
#include "tests/bench/pairs.hpp"

using namespace dsllm;

static void write(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

int main(int argc, char** argv) try {
  CLI::App app("Benchmarks of every kernel on a GPU. Further options go to Google Benchmark.",
               "dsllm-bench-device");
  app.footer("example: dsllm-bench-device --csv h100.csv --markdown h100.md --benchmark_filter=rmsnorm");
  app.allow_extras();
  std::string csv, markdown, commit = "unknown";
  bool name_only = false;
  app.add_option("--csv", csv, "where the numbers go");
  app.add_option("--markdown", markdown, "where the table goes");
  app.add_option("--commit", commit, "of the sources, for the first lines of both");
  app.add_flag("--device-name", name_only, "print the GPU's name and end");
  CLI11_PARSE(app, argc, argv);
  if (const std::string why = cuda::unavailable(); !why.empty()) {
    std::cerr << "dsllm-bench-device: " << why << "\n";
    return 1;
  }
  if (name_only) {
    const std::string name = cuda::device_name();
    std::cout << name.substr(0, name.find(',')) << "\n";
    return 0;
  }
  std::vector<std::string> rest = app.remaining();
  std::vector<char*> pointers = {argv[0]};
  for (std::string& argument : rest) pointers.push_back(argument.data());
  int count = static_cast<int>(pointers.size());
  bench::register_pairs();
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 2;
  bench::DeviceReport report;
  benchmark::RunSpecifiedBenchmarks(&report);
  benchmark::Shutdown();
  if (!csv.empty()) write(csv, report.csv(commit));
  if (!markdown.empty()) write(markdown, report.markdown(commit));
  return report.failed() ? 1 : 0;
} catch (const std::exception& e) {
  std::cerr << "dsllm-bench-device: " << e.what() << "\n";
  return 1;
}
